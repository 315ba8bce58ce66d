//! Another client's requests as the load generator's samples.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Recording;
use crate::bench::load::{Sample, TokenCountSource};

const NS_PER_S: f64 = 1e9;

impl Recording {
    /// The successful requests as samples. Where the client does not record
    /// when a request was sent, it is taken from the load: all at once, one a
    /// `1 / request_rate`, or, under a cap, as soon as one in flight ends.
    pub fn samples(&self) -> Vec<Sample> {
        let mut slots = BinaryHeap::new();
        (0..self.ttfts_s.len())
            .map(|index| self.sample(index, &mut slots))
            .collect()
    }

    /// Whether [`Recording::samples`] had to guess when requests were sent.
    pub fn starts_are_guessed(&self) -> bool {
        self.starts_s.is_none() && (self.request_rate.is_some() || self.max_concurrency.is_some())
    }

    fn sample(&self, index: usize, slots: &mut BinaryHeap<Reverse<u64>>) -> Sample {
        let ttft = nanos(self.ttfts_s.get(index).copied().unwrap_or_default());
        let gaps = self.itls_s.get(index).map(Vec::as_slice).unwrap_or(&[]);
        let mut at = ttft;
        let mut chunk_ns = Vec::with_capacity(gaps.len() + 1);
        chunk_ns.push(at);
        for gap in gaps {
            at += nanos(*gap);
            chunk_ns.push(at);
        }
        let sent = self.sent(index, at, slots);
        let prompt = self.input_lens.as_ref().and_then(|lens| lens.get(index));
        let output = self.output_lens.get(index).copied().unwrap_or_default();
        Sample {
            index,
            due_ns: sent,
            woke_ns: sent,
            released_ns: sent,
            sent_ns: sent,
            sent_prompt_tokens: prompt.and_then(|len| u32::try_from(*len).ok()),
            requested_tokens: u32::try_from(output).unwrap_or(u32::MAX),
            first_token_ns: Some(ttft),
            end_ns: Some(at),
            finished_ns: sent + at,
            chunk_ns,
            output_tokens: Some(output),
            token_count_source: Some(TokenCountSource::Usage),
            ..Sample::default()
        }
    }

    fn sent(&self, index: usize, latency: u64, slots: &mut BinaryHeap<Reverse<u64>>) -> u64 {
        if let Some(start) = self.starts_s.as_ref().and_then(|starts| starts.get(index)) {
            return nanos(*start);
        }
        let due = self
            .request_rate
            .map_or(0, |rate| nanos(index as f64 / rate));
        let Some(cap) = self.max_concurrency else {
            return due;
        };
        let free = if slots.len() < cap as usize {
            0
        } else {
            slots.pop().map_or(0, |Reverse(end)| end)
        };
        let sent = due.max(free);
        slots.push(Reverse(sent + latency));
        sent
    }
}

fn nanos(seconds: f64) -> u64 {
    // A negative or missing time saturates at 0.
    (seconds * NS_PER_S).round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Recording};

    fn recording(max_concurrency: Option<u32>, request_rate: Option<f64>) -> Recording {
        Recording {
            client: Client::SglangBench,
            model: None,
            backend: None,
            date: None,
            request_rate,
            max_concurrency,
            duration_s: 3.0,
            completed: 3,
            failed: 0,
            starts_s: None,
            ttfts_s: vec![0.5, 0.25, 0.5],
            itls_s: vec![vec![0.5], vec![0.25, 0.25], vec![]],
            input_lens: Some(vec![10, 20, 30]),
            output_lens: vec![2, 3, 1],
            reported: None,
        }
    }

    fn sent_ms(recording: &Recording) -> Vec<u64> {
        let samples = recording.samples();
        samples.iter().map(|s| s.sent_ns / 1_000_000).collect()
    }

    #[test]
    fn sending_times_follow_the_load() {
        assert_eq!(sent_ms(&recording(None, None)), [0, 0, 0]);
        assert_eq!(sent_ms(&recording(None, Some(4.0))), [0, 250, 500]);
        // Two in flight: the third goes when the second ends, after 0.75 s.
        assert_eq!(sent_ms(&recording(Some(2), None)), [0, 0, 750]);
        assert!(recording(Some(2), None).starts_are_guessed());
        assert!(!recording(None, None).starts_are_guessed());
    }

    #[test]
    fn gaps_become_arrival_times() {
        let samples = recording(None, None).samples();
        let chunks = [250_000_000, 500_000_000, 750_000_000];
        assert_eq!(samples[1].chunk_ns, chunks);
        assert_eq!(samples[1].end_ns, Some(750_000_000));
        assert_eq!(samples[1].output_tokens, Some(3));
        assert_eq!(samples[1].prompt_len(), Some(20));
    }
}
