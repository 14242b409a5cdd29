//! How the timings of an attempt are stored.

use ringback_domain::attempt::Timings;

/// Six numbers of microseconds; 71 minutes fit.
pub(crate) fn pack(timings: &Timings) -> [u8; 24] {
    let Timings { dns, connect, tls, first_byte, body, total } = timings;
    let mut packed = [0; 24];
    for (bytes, time) in
        packed.chunks_exact_mut(4).zip([dns, connect, tls, first_byte, body, total])
    {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        bytes.copy_from_slice(&micros.to_le_bytes());
    }
    packed
}

/// What [`pack`] wrote; what is missing is zero.
pub(crate) fn unpack(packed: &[u8]) -> Timings {
    let mut times = packed.chunks_exact(4).map(|bytes| {
        let micros = bytes.iter().rev().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        std::time::Duration::from_micros(micros)
    });
    let mut next = || times.next().unwrap_or_default();
    Timings {
        dns: next(),
        connect: next(),
        tls: next(),
        first_byte: next(),
        body: next(),
        total: next(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timings_round_trip() {
        let time = Duration::from_micros;
        let timings = Timings {
            dns: time(1),
            connect: time(2_000),
            tls: time(0),
            first_byte: time(4_000_000_000),
            body: time(5),
            total: time(66_000),
        };
        assert_eq!(unpack(&pack(&timings)), timings);
        assert_eq!(unpack(&[]), Timings::default());
    }
}
