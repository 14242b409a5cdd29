//! What was promised against what arrived: every acknowledged message and every receipt.
//!
//! Pure: it is given both lists and says what was delivered, lost and duplicated, and how long each
//! delivery took.

use std::ops::Range;

/// One message that was sent and answered with 2xx.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    pub seq: u32,
    /// When it was to be sent, or was sent when running flat out (`clock` nanoseconds).
    pub sent: u64,
    /// When the answer had been read whole (`clock` nanoseconds).
    pub answered: u64,
    /// Fingerprint of the id in the answer; 0 if there was none.
    pub id: u64,
}

/// One request that arrived at the receiver.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub seq: u32,
    pub endpoint: u16,
    /// When it had been read whole (`clock` nanoseconds).
    pub at: u64,
    /// Fingerprint of `webhook-id`; 0 if there was none.
    pub id: u64,
    /// Whether it was answered with 2xx.
    pub taken: bool,
}

/// The judgement over one range of messages. Counts are deliveries: messages × endpoints.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    pub delivered: u64,
    /// Acknowledged and never taken.
    pub lost: u64,
    /// Taken again after it had been taken.
    pub duplicated: u64,
    /// Taken under another `webhook-id` than the one acknowledged.
    pub misnamed: u64,
    /// Send to receipt, nanoseconds, of deliveries that the receiver never refused.
    pub straight: Vec<u64>,
    /// The same for deliveries that were refused at least once.
    pub retried: Vec<u64>,
    /// When the last of the straight ones arrived (`clock` nanoseconds).
    pub last_straight: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    refused: bool,
    taken: bool,
}

/// Judges the messages `seqs`, each due at `fan_out` endpoints.
pub fn judge(seqs: Range<u32>, fan_out: u16, acks: &[Ack], mut receipts: Vec<Receipt>) -> Verdict {
    let index = |seq: u32| seqs.contains(&seq).then(|| (seq - seqs.start) as usize);
    let mut acked: Vec<Option<Ack>> = vec![None; seqs.len()];
    for ack in acks {
        if let Some(at) = index(ack.seq) {
            acked[at] = Some(*ack);
        }
    }

    // Cores record independently; the order of arrival decides which of two is the duplicate.
    receipts.sort_unstable_by_key(|receipt| receipt.at);
    let mut slots = vec![Slot::default(); seqs.len() * usize::from(fan_out)];
    let mut verdict = Verdict::default();
    for receipt in &receipts {
        let Some(message) = index(receipt.seq).filter(|_| receipt.endpoint < fan_out) else {
            continue;
        };
        let slot = &mut slots[message * usize::from(fan_out) + usize::from(receipt.endpoint)];
        match (receipt.taken, slot.taken) {
            (false, _) => slot.refused = true,
            (true, true) => verdict.duplicated += 1,
            (true, false) => {
                slot.taken = true;
                // Taken without an acknowledgement: the answer got lost, the message did not.
                if let Some(ack) = acked[message] {
                    verdict.take(&ack, receipt, slot.refused);
                }
            }
        }
    }
    verdict.lost = slots
        .chunks(usize::from(fan_out).max(1))
        .zip(&acked)
        .filter(|(_, ack)| ack.is_some())
        .map(|(slots, _)| slots.iter().filter(|slot| !slot.taken).count() as u64)
        .sum();
    verdict
}

impl Verdict {
    fn take(&mut self, ack: &Ack, receipt: &Receipt, refused: bool) {
        self.delivered += 1;
        if ack.id != 0 && ack.id != receipt.id {
            self.misnamed += 1;
        }
        let took = receipt.at.saturating_sub(ack.sent);
        if refused {
            self.retried.push(took);
        } else {
            self.straight.push(took);
            self.last_straight = self.last_straight.max(receipt.at);
        }
    }
}

/// A fingerprint (FNV-1a) of a message id, so that millions fit in memory; never 0.
pub fn fingerprint(id: &[u8]) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(seq: u32) -> Ack {
        Ack { seq, sent: 100, answered: 150, id: 9 }
    }

    fn receipt(seq: u32, endpoint: u16, at: u64, taken: bool) -> Receipt {
        Receipt { seq, endpoint, at, id: 9, taken }
    }

    #[test]
    fn what_arrives_once_is_delivered() {
        let verdict = judge(
            5..7,
            1,
            &[ack(5), ack(6)],
            vec![receipt(6, 0, 300, true), receipt(5, 0, 200, true)],
        );
        let expect = Verdict {
            delivered: 2,
            straight: vec![100, 200],
            last_straight: 300,
            ..Verdict::default()
        };
        assert_eq!(verdict, expect);
    }

    #[test]
    fn every_endpoint_is_owed_its_own_copy() {
        let verdict = judge(0..1, 3, &[ack(0)], vec![receipt(0, 1, 200, true)]);
        assert_eq!((verdict.delivered, verdict.lost), (1, 2));
    }

    #[test]
    fn only_what_was_acknowledged_can_be_lost() {
        let verdict = judge(0..2, 1, &[ack(1)], vec![]);
        assert_eq!((verdict.delivered, verdict.lost), (0, 1));
    }

    #[test]
    fn a_refused_attempt_is_no_delivery_and_makes_the_next_one_a_retry() {
        let receipts = vec![receipt(0, 0, 900, true), receipt(0, 0, 200, false)];
        let verdict = judge(0..1, 1, &[ack(0)], receipts);
        assert_eq!((verdict.delivered, verdict.duplicated, verdict.lost), (1, 0, 0));
        assert_eq!((verdict.straight, verdict.retried), (vec![], vec![800]));
        assert_eq!(judge(0..1, 1, &[ack(0)], vec![receipt(0, 0, 200, false)]).lost, 1);
    }

    #[test]
    fn a_second_taking_is_a_duplicate_and_another_id_is_noticed() {
        let mut stranger = receipt(0, 0, 200, true);
        stranger.id = 8;
        let verdict = judge(0..1, 1, &[ack(0)], vec![stranger, receipt(0, 0, 300, true)]);
        assert_eq!((verdict.delivered, verdict.duplicated, verdict.misnamed), (1, 1, 1));
    }

    #[test]
    fn messages_outside_the_range_do_not_count() {
        let verdict = judge(10..11, 1, &[ack(9), ack(10)], vec![receipt(9, 0, 200, true)]);
        assert_eq!((verdict.delivered, verdict.lost, verdict.duplicated), (0, 1, 0));
    }
}
