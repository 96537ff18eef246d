//! Limits of the number of connections, for a collector that other machines reach.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::limiter::network;

/// The most connections, below the 1,024 files that a process may usually open.
const MAX_CONNECTIONS: usize = 512;

/// The most connections of an address, or of an IPv6 network of 64 bits, unless it is that of a proxy.
const MAX_OF_ADDRESS: usize = 64;

/// The open connections.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max_of_address: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the open connections. Dropped at its end.
#[derive(Debug)]
pub(crate) struct Slot {
    limits: Arc<ConnectionLimits>,
    network: IpAddr,
}

impl ConnectionLimits {
    pub(crate) fn new(is_behind_proxy: bool) -> Self {
        let max_of_address = if is_behind_proxy { MAX_CONNECTIONS } else { MAX_OF_ADDRESS };
        Self { max_of_address, open: Mutex::default() }
    }

    /// A slot for a connection of this address, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let network = network(peer);
        let mut open = self.open.lock();
        let of_address = open.get(&network).copied().unwrap_or(0);
        if of_address >= self.max_of_address || open.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        open.insert(network, of_address + 1);
        Some(Slot { limits: Arc::clone(self), network })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: usize) -> IpAddr {
        [192, 0, 2, u8::try_from(host).unwrap()].into()
    }

    #[test]
    fn connections_are_limited_for_each_address_and_in_total() {
        for (is_behind_proxy, of_one, of_others) in [(false, 64, 448), (true, 512, 0)] {
            let limits = Arc::new(ConnectionLimits::new(is_behind_proxy));
            let admit = |host| limits.admit(address(host));
            let mut one: Vec<_> = (0..999).map_while(|_| admit(0)).collect();
            let others: Vec<_> = (0..999).map_while(|it| admit(1 + it / 50)).collect();
            assert_eq!((one.len(), others.len()), (of_one, of_others));
            drop(one.pop());
            assert!(admit(0).is_some());
            assert!(admit(200).is_some(), "the slot is free again");
            drop((one, others));
            assert!(limits.open.lock().is_empty());
        }
    }
}
