//! The detection rules that come with the program, validated by the Sigma project's own tool (`sigma-cli`, PyPI).
//!
//! Two of its validators fetch lists of MITRE's from the network; they are left out. Where the tool is not installed that is said;
//! with `COUNTERFOIL_REQUIRE_TOOLS=1` it fails.

use std::path::Path;
use std::process::Command;

fn check(folder: &Path) -> Option<(bool, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tool = workspace.join(".tools/venv/bin/sigma");
    if !tool.exists() {
        assert!(
            std::env::var_os("COUNTERFOIL_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
            "sigma-cli is not installed, and COUNTERFOIL_REQUIRE_TOOLS=1 forbids to skip; run scripts/install-test-tools.sh"
        );
        eprintln!("sigma-cli is not installed; skipped");
        return None;
    }
    let mut command = Command::new(tool);
    command.args(["check", "--fail-on-error", "--fail-on-issues", "-x", "attacktag", "-x", "d3_fendtag"]).arg(folder);
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), text))
}

#[test]
fn our_rules_are_sigma_without_an_issue() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../service/rules");
    let Some((is_good, text)) = check(&rules) else { return };
    assert!(is_good && text.contains("Found 0 errors, 0 condition errors and 0 issues"), "{text}");

    // That the tool would have said so: the same rules with one id twice.
    let broken = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(rules.join("logging.yml")).expect("the rules");
    std::fs::write(broken.path().join("broken.yml"), text.replace("condition: stopped", "condition: nothing"))
        .expect("written");
    let (is_good, text) = check(broken.path()).expect("it was there a moment ago");
    assert!(!is_good, "{text}");
}
