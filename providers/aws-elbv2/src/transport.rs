//! HTTP for the SDK: plain connections without any TLS, and TLS (rustls with ring) from the first https
//! request on.
//!
//! The SDK's own client reads the system's roots as it is built, twice, and parses them anew for each set of
//! time-outs, even for a plain-http endpoint or for the instance metadata alone. Here they are read once in
//! the process, when something is sent over https.

use std::sync::OnceLock;

use aws_sdk_elasticloadbalancingv2::config::http::{HttpRequest, HttpResponse};
use aws_sdk_elasticloadbalancingv2::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_elasticloadbalancingv2::error::ConnectorError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::roots;

/// The longest answer that is read. A thousand targets or four hundred target groups fit in a quarter of it;
/// something else than AWS may go on for ever.
const LONGEST: usize = 4 * 1024 * 1024;

/// The client that every call of the SDK goes through.
pub(crate) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Split {
        plain: Builder::new().build_http(),
    })
}

/// One client for `http:`, one for all of the process and made on demand for `https:`.
#[derive(Debug)]
struct Split {
    plain: SharedHttpClient,
}

impl HttpClient for Split {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Choice {
            plain: self.plain.http_connector(settings, components),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct Choice {
    plain: SharedHttpConnector,
    components: RuntimeComponents,
}

impl HttpConnector for Choice {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = if request.uri().starts_with("https:") {
            match tls() {
                // Always the same settings, for these are what the SDK keeps a set of roots and connections for.
                // The call's own time-outs bound it from outside.
                Ok(client) => client
                    .http_connector(&HttpConnectorSettings::builder().build(), &self.components)
                    .call(request),
                Err(why) => HttpConnectorFuture::ready(Err(ConnectorError::user(why.into()))),
            }
        } else {
            self.plain.call(request)
        };
        HttpConnectorFuture::new(async { answer.await.map(bounded) })
    }
}

/// The answer, of which no more is read than [`LONGEST`].
fn bounded(answer: HttpResponse) -> HttpResponse {
    answer.map(|body| {
        SdkBody::from_body_1_x(Limited::new(body, LONGEST).map_err(|error| {
            if error.is::<LengthLimitError>() {
                format!("the answer is longer than {} MiB", LONGEST >> 20).into()
            } else {
                error
            }
        }))
    })
}

fn tls() -> Result<&'static SharedHttpClient, String> {
    static TLS: OnceLock<Result<SharedHttpClient, String>> = OnceLock::new();
    TLS.get_or_init(make_tls).as_ref().map_err(Clone::clone)
}

fn make_tls() -> Result<SharedHttpClient, String> {
    let roots = TrustStore::empty().with_pem_certificate(roots::pem()?);
    let context = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Builder::new().build_with_connector_fn(move |_, _| {
        Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            // The variables HTTPS_PROXY and NO_PROXY. Plain http is what the metadata service and tests speak:
            // never by a proxy.
            .proxy_config(ProxyConfig::from_env())
            .build()
    }))
}
