//! From a host to a connection that goes where the guard allows.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use crate::attempt::Told;
use crate::{Guard, Resolver};

/// The addresses of a host, every one of them allowed. The connection must go to one of these and resolve nothing
/// again: a name can answer differently the second time.
///
/// One address that is not allowed refuses the host: a name that leads inside now and then is not a receiver on the internet.
pub(crate) async fn addresses(resolver: &Resolver, guard: &Guard, host: &str) -> Result<Vec<IpAddr>, Told> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = match bare.parse::<IpAddr>() {
        Ok(literal) => vec![literal],
        Err(_) => {
            resolver(bare.to_owned()).await.map_err(|_| Told::retry("the host's name was not found"))?
        }
    };
    if found.is_empty() {
        return Err(Told::retry("the host's name has no address"));
    }
    for address in &found {
        guard.check(*address).map_err(|private| Told::refused(private.to_string()))?;
    }
    Ok(found)
}

/// A connection to the first of the addresses that takes one.
pub(crate) async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Told> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(SocketAddr::new(*address, port)).await {
            return Ok(stream);
        }
    }
    Err(Told::retry("no connection to the host"))
}
