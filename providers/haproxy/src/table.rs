//! The two tables that HAProxy prints, read by the names in their headers.
//!
//! Columns are added with every release, and their places differ.

use std::borrow::Cow;

/// A row of `show servers state` (management guide, section 9.3; the columns are those of the server-state
/// file).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StateRow<'a> {
    /// The backend's number (`be_id`).
    pub(crate) backend_id: &'a str,
    /// The backend's name (`be_name`).
    pub(crate) backend: &'a str,
    /// The server's name (`srv_name`).
    pub(crate) server: &'a str,
    /// An IP address, or `-` where there is none (`srv_addr`).
    pub(crate) address: &'a str,
    /// The port that traffic goes to (`srv_port`); 0 where it is the frontend's.
    pub(crate) port: u16,
    /// Whether it runs (`srv_op_state`).
    pub(crate) running: u8,
    /// Bits of who has taken it out (`srv_admin_state`).
    pub(crate) admin: u32,
    /// The weight now (`srv_uweight`).
    pub(crate) weight: u32,
    /// The configured weight (`srv_iweight`).
    pub(crate) configured_weight: u32,
}

/// A row of `show stat` (management guide, section 9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatRow<'a> {
    /// The backend's name (`pxname`).
    pub(crate) backend: Cow<'a, str>,
    /// The server's name (`svname`).
    pub(crate) server: Cow<'a, str>,
    /// Requests that wait for a free connection to this server (`qcur`).
    pub(crate) queued: u64,
    /// Requests that are being served (`scur`): active streams, not idle connections.
    pub(crate) current: u64,
    /// The state in words (`status`).
    pub(crate) status: Cow<'a, str>,
    /// Whether clients stick to it by a cookie (`cookie`).
    pub(crate) cookie: bool,
}

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It ends before its last line.
    CutShort,
    /// It is not what it should be: a sentence.
    Odd(String),
}

/// Reads `show servers state` from its header on, and returns what follows the table.
pub(crate) fn states<'a>(text: &'a str, rows: &mut Vec<StateRow<'a>>) -> Result<&'a str, Unreadable> {
    let (header, mut rest) = line(text)?;
    let names: Vec<&str> = header.trim_start_matches('#').split_ascii_whitespace().collect();
    let place = |name| {
        names
            .iter()
            .position(|&column| column == name)
            .ok_or_else(|| no_column("show servers state", name))
    };
    let [id, backend, server, address, port] = [
        place("be_id")?,
        place("be_name")?,
        place("srv_name")?,
        place("srv_addr")?,
        place("srv_port")?,
    ];
    let [running, admin, weight, configured] = [
        place("srv_op_state")?,
        place("srv_admin_state")?,
        place("srv_uweight")?,
        place("srv_iweight")?,
    ];
    let mut fields = Vec::with_capacity(names.len());
    loop {
        let (row, after) = line(rest)?;
        rest = after;
        if row.is_empty() {
            return Ok(rest);
        }
        fields.clear();
        fields.extend(row.split_ascii_whitespace());
        let field = |place: usize| fields.get(place).copied().ok_or_else(|| odd_row(row));
        rows.push(StateRow {
            backend_id: field(id)?,
            backend: field(backend)?,
            server: field(server)?,
            address: field(address)?,
            port: number(field(port)?, row)?,
            running: number(field(running)?, row)?,
            admin: number(field(admin)?, row)?,
            weight: number(field(weight)?, row)?,
            configured_weight: number(field(configured)?, row)?,
        });
    }
}

/// Reads `show stat` from its header on, and returns what follows the table.
///
/// A field in quotes may hold commas and line ends: the text of a health check is whatever the
/// application answered.
pub(crate) fn stats<'a>(text: &'a str, rows: &mut Vec<StatRow<'a>>) -> Result<&'a str, Unreadable> {
    const COLUMNS: [&str; 6] = ["pxname", "svname", "qcur", "scur", "status", "cookie"];
    const REQUIRED: usize = 5;
    let (header, mut rest) = line(text)?;
    let mut places = [None; COLUMNS.len()];
    for (place, name) in header.trim_start_matches(['#', ' ']).split(',').enumerate() {
        if let Some(column) = COLUMNS.iter().position(|&column| column == name) {
            places[column] = Some(place);
        }
    }
    if let Some(missing) = places[..REQUIRED].iter().position(Option::is_none) {
        return Err(no_column("show stat", COLUMNS[missing]));
    }
    loop {
        if let ("", after) = line(rest)? {
            return Ok(after);
        }
        let start = rest;
        let mut wanted: [Cow<'a, str>; COLUMNS.len()] = Default::default();
        for place in 0.. {
            let (field, end, after) = csv_field(rest)?;
            rest = after;
            if let Some(column) = places.iter().position(|&wanted| wanted == Some(place)) {
                wanted[column] = field;
            }
            if end == End::Row {
                break;
            }
        }
        let row = line(start)?.0;
        let [backend, server, queued, current, status, cookie] = wanted;
        rows.push(StatRow {
            backend,
            server,
            queued: number(&queued, row)?,
            current: number(&current, row)?,
            status,
            cookie: !cookie.is_empty(),
        });
    }
}

/// A line without its end, and what follows. Every line of a table has an end.
pub(crate) fn line(text: &str) -> Result<(&str, &str), Unreadable> {
    text.split_once('\n').ok_or(Unreadable::CutShort)
}

/// What follows a CSV field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Row,
}

fn csv_field(text: &str) -> Result<(Cow<'_, str>, End, &str), Unreadable> {
    let (field, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_field(quoted)?,
        None => {
            let length = text.find([',', '\n']).ok_or(Unreadable::CutShort)?;
            (Cow::Borrowed(&text[..length]), &text[length..])
        }
    };
    if let Some(rest) = rest.strip_prefix(',') {
        Ok((field, End::Field, rest))
    } else if let Some(rest) = rest.strip_prefix('\n') {
        Ok((field, End::Row, rest))
    } else if rest.is_empty() {
        Err(Unreadable::CutShort)
    } else {
        let field = crate::answer::excerpt(&field);
        Err(Unreadable::Odd(format!("{field:?} is not followed by a comma")))
    }
}

/// The field whose opening quote has been read: a quote inside is doubled (RFC 4180).
fn quoted_field(text: &str) -> Result<(Cow<'_, str>, &str), Unreadable> {
    let mut end = 0;
    let mut doubled = false;
    loop {
        end += text[end..].find('"').ok_or(Unreadable::CutShort)?;
        if !text[end + 1..].starts_with('"') {
            break;
        }
        doubled = true;
        end += 2;
    }
    let field = match doubled {
        true => Cow::Owned(text[..end].replace("\"\"", "\"")),
        false => Cow::Borrowed(&text[..end]),
    };
    Ok((field, &text[end + 1..]))
}

fn number<T: std::str::FromStr>(text: &str, row: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_| odd_row(row))
}

fn no_column(command: &str, name: &str) -> Unreadable {
    Unreadable::Odd(format!(r#"the answer to "{command}" has no column "{name}""#))
}

fn odd_row(row: &str) -> Unreadable {
    Unreadable::Odd(format!(
        r#"cannot read the row "{}""#,
        crate::answer::excerpt(row)
    ))
}

#[cfg(test)]
mod tests;
