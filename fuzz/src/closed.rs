//! What holds of each component and of what the rewriter makes of it for the ledger, where it can be.

use mappable_rewrite::{Reason, RewriteError, Rewritten, Settings, Tier, TierReport, inspect_with, rewrite_with};
use wasmparser::{Validator, WasmFeatures};

use crate::soundness::{BASELINE, SECONDS, cpu_seconds, gate, is_our_bug};

/// Which tier the rewriter chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// None: it was refused.
    Refused,
    /// The baseline, as something is open or there is nothing to do for the ledger.
    Baseline,
    /// The ledger.
    Ledger,
}

/// Rewrites `input` with and without lists, and checks what can be told without running it. The rewriter's own check
/// has looked at what it gives.
///
/// # Panics
///
/// Where the rewriter is wrong.
pub fn check(input: &[u8]) -> Chosen {
    let chosen = [true, false].map(|lists| check_with(input, lists));
    let order = |chosen| chosen as u8;
    assert!(order(chosen[0]) >= order(chosen[1]), "lists are more to do for the ledger, not less: {chosen:?}");
    chosen[0]
}

fn check_with(input: &[u8], lists: bool) -> Chosen {
    let with = |tier| {
        let before = cpu_seconds();
        let result = rewrite_with(input, &gate(), Settings { tier, lists, bound: false, preload: false });
        let took = cpu_seconds() - before;
        assert!(took < SECONDS, "rewriting {} bytes took {took} s", input.len());
        if let Err(error) = &result {
            assert!(!is_our_bug(error), "{error}");
        }
        result
    };
    let (auto, ledger) = (with(Tier::Auto), with(Tier::Ledger));
    let baseline = rewrite_with(input, &gate(), BASELINE);
    let settings = Settings { tier: Tier::Auto, lists, bound: false, preload: false };
    if let (Ok(inspected), Ok(auto)) = (inspect_with(input, settings), &auto)
        && !is_told_by_the_gate(&auto.report.tier)
    {
        assert_eq!(inspected.tier, auto.report.tier, "an inspection says what a rewriting does");
    }
    match (auto, ledger, baseline) {
        (Ok(auto), Ok(ledger), Ok(baseline)) => {
            assert!(auto.bytes == ledger.bytes, "what can be rewritten for the ledger is");
            check_tier(&auto, &baseline)
        }
        (Ok(auto), Err(RewriteError::NotClosed { obstacle }), Ok(baseline)) => {
            assert!(!matches!(obstacle.reason, Reason::Broken(_)), "{obstacle}");
            assert!(auto.bytes == baseline.bytes, "what is not closed is as at the baseline");
            assert_eq!(auto.report.tier, TierReport::Baseline { obstacle: Some(*obstacle) });
            Chosen::Baseline
        }
        (Err(auto), Err(ledger), Err(baseline)) => {
            let texts = [&auto, &ledger, &baseline].map(ToString::to_string);
            assert_eq!(texts[0], texts[2], "what is refused is refused at each tier");
            let open = matches!(ledger, RewriteError::NotClosed { .. });
            assert!(open || texts[1] == texts[0], "{texts:?}");
            Chosen::Refused
        }
        (auto, ledger, baseline) => {
            let said = [auto, ledger, baseline].map(|it| it.map(drop).map_err(|error| error.to_string()));
            panic!("the tiers refuse different things: {said:?}")
        }
    }
}

/// Whether a name of the gate's stands in the way: an inspection has another gate.
fn is_told_by_the_gate(tier: &TierReport) -> bool {
    matches!(tier, TierReport::Baseline { obstacle: Some(obstacle) } if obstacle.reason == Reason::GateName)
}

fn check_tier(auto: &Rewritten<'_>, baseline: &Rewritten<'_>) -> Chosen {
    match &auto.report.tier {
        TierReport::Ledger { .. } => {
            Validator::new_with_features(WasmFeatures::all()).validate_all(&auto.bytes).expect("the output is valid");
            assert!(auto.changed());
            Chosen::Ledger
        }
        TierReport::Baseline { obstacle } => {
            assert!(obstacle.is_none(), "it was written for the ledger: {obstacle:?}");
            assert!(auto.bytes == baseline.bytes, "there was nothing to do for the ledger");
            Chosen::Baseline
        }
    }
}
