//! A hash that is the same in each build and on each machine.

/// FNV-1a with 64 bits, for ids. They are random or nearly so, and a collision costs a request.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
