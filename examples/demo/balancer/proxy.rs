//! The reverse proxy of the built-in load balancer. Like HAProxy it connects again elsewhere if a server refuses, and
//! never sends a request twice: only its author knows whether that is safe.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::servers::{Connection, Servers, Session};
use crate::http::Message;

/// How long a server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Serves clients for ever.
pub(super) async fn serve(listener: TcpListener, servers: Servers) {
    loop {
        match listener.accept().await {
            // A connection that breaks concerns nobody else.
            Ok((client, _)) => drop(tokio::spawn(serve_one(client, servers.clone()))),
            // Out of file descriptors, most likely: connections wait in the kernel until some are free.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve_one(client: TcpStream, servers: Servers) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    while let Some(request) = Message::read(&mut client).await? {
        // The session lasts until the client has its answer.
        let (answer, _session) = forward(&request, &servers).await?;
        client.write_all(&answer.bytes).await?;
        if answer.closes() {
            break;
        }
    }
    Ok(())
}

/// The answer to a request, from a server or from us. An error ends the client's connection.
async fn forward(request: &Message, servers: &Servers) -> io::Result<(Message, Option<Session>)> {
    let mut refused = None;
    while let Some(session) = servers.assign(refused) {
        let (address, cut) = session.target();
        let cut = cut.notified();
        let Ok(mut connection) = connect(&session, address).await else {
            if refused.is_some() {
                break;
            }
            refused = Some(session.server);
            continue;
        };
        let answer = tokio::select! {
            answer = exchange(&mut connection, request) => answer,
            () = cut => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        return Ok(match answer {
            Ok(answer) => {
                session.keep(connection);
                (answer, Some(session))
            }
            Err(_) => (own_answer("502 Bad Gateway"), None),
        });
    }
    Ok((own_answer("503 Service Unavailable"), None))
}

async fn connect(session: &Session, address: SocketAddr) -> io::Result<Connection> {
    if let Some(connection) = session.idle_connection() {
        return Ok(connection);
    }
    let stream = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

async fn exchange(server: &mut Connection, request: &Message) -> io::Result<Message> {
    server.write_all(&request.bytes).await?;
    let answer = Message::read(server).await?;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn own_answer(status: &str) -> Message {
    Message::answer(status, "connection: close\r\n", "")
}
