//! A picture through stages, one after the other, and what that took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::stage::{Bytes, Header, Host, IDLE, Payload, Spec, Stage, Step, load};

/// What one stage did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) stage: String,
    pub(crate) args: Vec<String>,
    /// From handing the picture over to having what the stage gave.
    #[serde(rename = "ns", serialize_with = "serialize_nanos")]
    pub(crate) time: Duration,
    /// The part of it for map, unmap and handing over (or copying): what a stage that does no work takes for a picture of
    /// this size.
    #[serde(rename = "ns_hand_over", serialize_with = "serialize_nanos")]
    pub(crate) hand_over: Duration,
    /// The picture that it was given, and the one that it gave.
    pub(crate) bytes_handed_over: u64,
    /// The part of these that was copied from one memory to another.
    pub(crate) bytes_copied: u64,
    /// What it was given.
    pub(crate) input: Header,
    /// What it gave.
    pub(crate) output: Header,
    /// Whether several instances worked on it, each on a core.
    pub(crate) shared_out: bool,
}

/// As JSON has it.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn serialize_nanos<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(nanos(*time))
}

/// A picture, and how it came to be.
pub(crate) struct Done<P> {
    pub(crate) payload: P,
    pub(crate) header: Header,
    pub(crate) stages: Vec<Figures>,
}

/// Hands a picture from stage to stage. `begins` is told of each.
pub(crate) fn run<H: Host>(
    _: &H,
    stages: &mut [Stage<H::Step>],
    mut payload: <H::Step as Step>::Payload,
    mut header: Header,
    mut begins: impl FnMut(&Spec),
) -> Result<Done<<H::Step as Step>::Payload>> {
    let mut figures = Vec::with_capacity(stages.len());
    for stage in stages {
        begins(&stage.spec);
        let input = header;
        let begin = Instant::now();
        let answer = stage.step.call(payload, header, &stage.spec.args);
        let time = begin.elapsed();
        (payload, header) = answer.with_context(|| stage.title.clone())?;
        header.check(payload.available()).with_context(|| stage.title.clone())?;
        payload.trim(header.size);
        let bytes_handed_over = input.size + header.size;
        figures.push(Figures {
            stage: stage.spec.name.clone(),
            args: stage.spec.args.clone(),
            time,
            hand_over: Duration::ZERO,
            bytes_handed_over,
            bytes_copied: if H::COPIES { bytes_handed_over } else { 0 },
            input,
            output: header,
            shared_out: stage.step.was_shared_out(),
        });
    }
    Ok(Done { payload, header, stages: figures })
}

/// Measures what handing over took in each of these: `rounds` calls of a stage that does no work, on as many bytes. The
/// median; with one round, the cost of a first call.
pub(crate) fn measure_hand_over<H: Host>(host: &H, figures: &mut [Figures], rounds: usize) -> Result<()> {
    let idle = Spec { name: "idle".to_owned(), bytes: Bytes::Builtin(&IDLE), args: vec![] };
    let specs = vec![idle; figures.len()];
    for (figures, mut idle) in figures.iter_mut().zip(load(host, &specs)?) {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds.max(1) {
            let input = figures.input.size;
            // A region serves as a whole; a list grows or shrinks to what the stage gave.
            let header = Header { size: if H::COPIES { figures.output.size } else { input }, ..figures.input };
            let payload = host.blank(input)?;
            let begin = Instant::now();
            let given = idle.step.call(payload, header, &[])?;
            times.push(begin.elapsed());
            drop(given);
        }
        figures.hand_over = median(&mut times);
    }
    Ok(())
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
