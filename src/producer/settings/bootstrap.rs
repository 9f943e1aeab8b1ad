//! `bootstrap.servers`: where a producer finds its first broker.

use super::kind::Refusal;

/// Most entries of `bootstrap.servers`.
pub(super) const MAX: usize = 1000;

/// Most brokers of an embedded cluster.
const EMBEDDED_MAX: u8 = 9;

/// `bootstrap.servers`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// Host and port of each, in the order given, without duplicates. Hosts of IPv6 are without brackets.
    Servers(Vec<(String, u16)>),
    /// A cluster of this many brokers (1 to 9) inside the producer.
    Embedded(u8),
}

/// Reads the list as Java does (`host:port`, `[v6]:port`, an optional `PLAINTEXT://`), but drops nothing silently
/// except a repetition.
pub(super) fn parse(text: &str) -> Result<Bootstrap, Refusal> {
    if text.is_empty() {
        return Err(Refusal::invalid("is empty; it takes host:port,host:port,…"));
    }
    let entries: Vec<&str> = text.split(',').map(str::trim).take(MAX + 1).collect();
    if entries.len() > MAX {
        return Err(Refusal::invalid(format!("has more than {MAX} entries")));
    }
    if let Some(entry) = entries.iter().find(|entry| entry.starts_with("embedded:")) {
        return embedded(entry, entries.len());
    }
    let mut servers: Vec<(String, u16)> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if entry.is_empty() {
            return Err(Refusal::invalid(format!("entry {} is empty", index + 1)));
        }
        let (host, port) = server(entry)?;
        if !servers.iter().any(|(other, other_port)| *other_port == port && other.eq_ignore_ascii_case(host)) {
            servers.push((host.to_owned(), port));
        }
    }
    Ok(Bootstrap::Servers(servers))
}

fn embedded(entry: &str, entries: usize) -> Result<Bootstrap, Refusal> {
    if entries > 1 {
        return Err(Refusal::invalid(format!("{entry} stands alone: it cannot be mixed with other entries")));
    }
    entry
        .strip_prefix("embedded:")
        .and_then(|count| count.parse::<u8>().ok())
        .filter(|count| (1..=EMBEDDED_MAX).contains(count))
        .map(Bootstrap::Embedded)
        .ok_or_else(|| Refusal::invalid(format!("entry {}: embedded:N takes N from 1 to {EMBEDDED_MAX}", cut(entry))))
}

fn server(entry: &str) -> Result<(&str, u16), Refusal> {
    let address = match entry.split_once("://") {
        None => entry,
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("PLAINTEXT") => address,
        Some((scheme, _)) if ["SSL", "SASL_PLAINTEXT", "SASL_SSL"].iter().any(|s| s.eq_ignore_ascii_case(scheme)) => {
            return Err(Refusal::unsupported(format!("entry {}: TLS and SASL are not supported yet", cut(entry))));
        }
        Some(_) => {
            return Err(Refusal::invalid(format!("entry {}: the prefix can only be PLAINTEXT://", cut(entry))));
        }
    };
    let refuse = |why: &str| Refusal::invalid(format!("entry {}: {why}", cut(entry)));
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(|| refuse("it must be [address]:port")),
        None => address.rsplit_once(':').ok_or_else(|| refuse("it must be host:port")),
    }?;
    // The characters of Java's `Utils.VALID_HOST_CHARACTERS`: `%` is for the zone of a link-local address.
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte)) {
        return Err(refuse("it has no valid host name or address"));
    }
    let number = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match number.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if port > 0 => Ok((host, port)),
        _ => Err(refuse("its port must be 1 to 65535")),
    }
}

fn cut(entry: &str) -> &str {
    let end = entry.char_indices().nth(80).map_or(entry.len(), |(at, _)| at);
    entry.get(..end).unwrap_or(entry)
}
