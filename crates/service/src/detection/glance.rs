//! Which Sigma rules an event could possibly match, told from its JSON text without parsing it.
//!
//! Most events match no rule, and nearly all of what detection costs would be spent on finding that out. So of each rule texts
//! are taken of which some must stand in every event that it matches: `action: 'doc.read'` matches no event without `doc.read`
//! in it. All texts of all rules are looked for in one pass over the bytes. A rule that is passed over here would not have
//! matched; one that is not may still not match. What is not understood (numbers, networks, keywords, *not*)
//! asks for nothing, so that such a rule is always tried.
//!
//! Letters are compared without case in ASCII. Text in which letters can hide — escapes, and the two characters whose lower
//! case is ASCII — may match everything.

use aho_corasick::{AhoCorasick, MatchKind};
use regex_syntax::hir::{Hir, HirKind};
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SelectorPattern, SigmaRule, SigmaString, SigmaValue,
    StringPart,
};

/// Where letters can hide: an escape, the Kelvin sign, the capital I with a dot.
const HIDING: [&[u8]; 3] = [b"\\", "\u{212a}".as_bytes(), "\u{130}".as_bytes()];
/// Shorter texts stand in too many events to tell anything.
const TEXT_BYTES_MIN: usize = 2;
/// Of one rule that many conditions are looked at; the rest are left to the rule.
const CLAUSES_MAX: usize = 64;

/// Members of an event whose value stands in its JSON as it is.
const PLAIN_FIELDS: [&str; 11] =
    ["action", "kind", "outcome", "actor", "actor_id", "source", "host", "session", "correlation", "message", "target"];

/// One of these must stand in the event.
type Clause = Vec<String>;

/// See the module.
pub struct Glance {
    /// None: no rule asks for any text.
    texts: Option<AhoCorasick>,
    /// For each text that is looked for: rules, and which of their clauses it satisfies. Empty: letters can hide.
    satisfies: Vec<Vec<(usize, u64)>>,
    /// All clauses of each rule; 0: it is always tried.
    wanted: Vec<u64>,
    /// While an event is looked at: the clauses satisfied so far, and the rules that have any.
    found: Vec<u64>,
    begun: Vec<usize>,
    /// Rules that are always tried.
    always: Vec<usize>,
}

impl Glance {
    /// Prepares for these rules; they are named by their place.
    pub fn new(rules: &[SigmaRule]) -> Glance {
        let mut satisfies: Vec<Vec<(usize, u64)>> = HIDING.iter().map(|_| Vec::new()).collect();
        let mut patterns: Vec<Vec<u8>> = HIDING.iter().map(|text| text.to_vec()).collect();
        let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
        let mut wanted = Vec::with_capacity(rules.len());
        for (place, rule) in rules.iter().enumerate() {
            let mut clauses = clauses_of_rule(rule);
            clauses.truncate(CLAUSES_MAX);
            let mut all = 0;
            for (number, clause) in clauses.iter().enumerate() {
                all |= 1 << number;
                for text in clause {
                    let pattern = *places.entry(text.clone()).or_insert_with(|| {
                        patterns.push(text.clone().into_bytes());
                        satisfies.push(Vec::new());
                        patterns.len() - 1
                    });
                    satisfies[pattern].push((place, 1 << number));
                }
            }
            wanted.push(all);
        }
        let built =
            AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&patterns);
        // Too many texts for the searcher: then every rule is tried.
        let texts = built.ok();
        if texts.is_none() {
            wanted.fill(0);
        }
        let always = (0..wanted.len()).filter(|&rule| wanted[rule] == 0).collect();
        Glance { texts, satisfies, found: vec![0; wanted.len()], begun: Vec::new(), wanted, always }
    }

    /// The rules that this JSON could match, ascending.
    pub fn rules(&mut self, json: &[u8]) -> Vec<usize> {
        let mut rules = self.always.clone();
        let Some(texts) = self.texts.as_ref().filter(|_| rules.len() < self.wanted.len()) else { return rules };
        let mut can_hide = false;
        for text in texts.find_overlapping_iter(json) {
            let satisfies = &self.satisfies[text.pattern().as_usize()];
            if satisfies.is_empty() {
                can_hide = true;
                break;
            }
            for &(rule, clause) in satisfies {
                if self.found[rule] == 0 {
                    self.begun.push(rule);
                }
                self.found[rule] |= clause;
            }
        }
        for rule in self.begun.drain(..) {
            if std::mem::take(&mut self.found[rule]) == self.wanted[rule] {
                rules.push(rule);
            }
        }
        if can_hide {
            return (0..self.wanted.len()).collect();
        }
        rules.sort_unstable();
        rules
    }
}

/// What must hold, as clauses of which each must; none: nothing is known.
fn clauses_of_rule(rule: &SigmaRule) -> Vec<Clause> {
    let conditions = rule.detection.conditions.iter().map(|condition| of_condition(rule, condition));
    either(conditions.collect())
}

fn of_condition(rule: &SigmaRule, condition: &ConditionExpr) -> Vec<Clause> {
    match condition {
        ConditionExpr::And(parts) => parts.iter().flat_map(|part| of_condition(rule, part)).collect(),
        ConditionExpr::Or(parts) => either(parts.iter().map(|part| of_condition(rule, part)).collect()),
        ConditionExpr::Not(_) => Vec::new(),
        ConditionExpr::Identifier(name) => rule.detection.named.get(name).map_or_else(Vec::new, of_detection),
        ConditionExpr::Selector { quantifier, pattern } => {
            // `them` leaves out names that begin with an underscore: those are not asked for, but may do.
            let is_hidden = |name: &str| *pattern == SelectorPattern::Them && name.starts_with('_');
            let named = rule.detection.named.iter().filter(|(name, _)| selects(pattern, name));
            match quantifier {
                Quantifier::All => {
                    named.filter(|(name, _)| !is_hidden(name)).flat_map(|(_, d)| of_detection(d)).collect()
                }
                Quantifier::Any => either(named.map(|(_, detection)| of_detection(detection)).collect()),
                Quantifier::Count(_) => Vec::new(),
            }
        }
    }
}

/// Whether a selector takes a name.
fn selects(pattern: &SelectorPattern, name: &str) -> bool {
    match pattern {
        SelectorPattern::Them => true,
        SelectorPattern::Pattern(pattern) => {
            let mut rest = name;
            let mut pieces = pattern.split('*');
            let Some(after) = rest.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
            rest = after;
            let pieces: Vec<&str> = pieces.collect();
            let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
            for piece in middle {
                let Some(at) = rest.find(piece) else { return false };
                rest = &rest[at + piece.len()..];
            }
            rest.ends_with(last)
        }
    }
}

fn of_detection(detection: &Detection) -> Vec<Clause> {
    match detection {
        Detection::AllOf(items) => items.iter().flat_map(of_item).collect(),
        Detection::AnyOf(parts) => either(parts.iter().map(of_detection).collect()),
        _ => Vec::new(),
    }
}

/// One clause of what holds if any of these does; nothing if one of them asks for nothing.
fn either(mut parts: Vec<Vec<Clause>>) -> Vec<Clause> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    // Of each the clause that is hardest to meet: long texts, and few of them.
    let hardness = |clause: &Clause| clause.iter().map(String::len).min().unwrap_or(0) as i64 * 8 - clause.len() as i64;
    let mut all = Clause::new();
    for clauses in parts {
        match clauses.into_iter().max_by_key(hardness) {
            Some(clause) => all.extend(clause),
            None => return Vec::new(),
        }
    }
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { Vec::new() } else { vec![all] }
}

fn of_item(item: &DetectionItem) -> Vec<Clause> {
    let Some(field) = item.field.name.as_deref() else { return Vec::new() };
    let field = if field == "targets" { "target" } else { field };
    if !PLAIN_FIELDS.contains(&field) && !field.starts_with("attributes.") {
        return Vec::new();
    }
    let is_plain = |modifier: &Modifier| {
        use Modifier::{All, Cased, Contains, EndsWith, StartsWith};
        matches!(modifier, All | Cased | Contains | EndsWith | StartsWith)
    };
    let is_expression = item.field.modifiers == [Modifier::Re];
    if item.values.is_empty() || !(is_expression || item.field.modifiers.iter().all(is_plain)) {
        return Vec::new();
    }
    let texts = item.values.iter().map(|value| match value {
        SigmaValue::String(value) if is_expression => certain_texts(field, &texts_of_expression(&value.original)),
        SigmaValue::String(value) => certain_texts(field, &texts_of_pattern(value)),
        _ => Vec::new(),
    });
    if item.field.modifiers.contains(&Modifier::All) { texts.flatten().collect() } else { either(texts.collect()) }
}

/// The texts between the wildcards.
fn texts_of_pattern(value: &SigmaString) -> Vec<String> {
    let plain = value.parts.iter().filter_map(|part| match part {
        StringPart::Plain(text) => Some(text.clone()),
        StringPart::Special(_) => None,
    });
    plain.collect()
}

/// Texts that stand in everything that a regular expression matches.
fn texts_of_expression(expression: &str) -> Vec<String> {
    fn walk(hir: &Hir, texts: &mut Vec<String>) {
        match hir.kind() {
            HirKind::Literal(literal) => texts.extend(String::from_utf8(literal.0.to_vec())),
            HirKind::Capture(capture) => walk(&capture.sub, texts),
            HirKind::Repetition(repetition) if repetition.min > 0 => walk(&repetition.sub, texts),
            HirKind::Concat(parts) => parts.iter().for_each(|part| walk(part, texts)),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    if let Ok(hir) = regex_syntax::parse(expression) {
        walk(&hir, &mut texts);
    }
    texts
}

/// The parts of these texts that stand as they are in the JSON of an event whose field has all of them.
fn certain_texts(field: &str, texts: &[String]) -> Vec<Clause> {
    // What an event is that does not say so.
    let unsaid = match field {
        "kind" => "other",
        "outcome" => "unknown",
        _ => "",
    };
    let is_safe = |character: char| (' '..='~').contains(&character) && character != '"' && character != '\\';
    let runs = texts.iter().flat_map(|text| text.split(move |character| !is_safe(character)));
    let is_certain = |run: &String| {
        // A pattern may mean the unsaid word, too; and where numbers may stand, one number has many writings.
        let means_unsaid = !unsaid.is_empty() && unsaid.contains(run.as_str());
        let is_number = field.starts_with("attributes.")
            && run.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e_".contains(&byte));
        run.len() >= TEXT_BYTES_MIN && !means_unsaid && !is_number
    };
    runs.map(str::to_ascii_lowercase).filter(is_certain).map(|run| vec![run]).collect()
}

#[cfg(test)]
mod tests {
    use rsigma_parser::parse_sigma_yaml;

    use super::*;

    fn glance(detections: &[&str]) -> Glance {
        let rules: Vec<SigmaRule> = detections
            .iter()
            .map(|detection| {
                let text = format!("title: t\nlogsource:\n    product: counterfoil\ndetection:\n{detection}");
                let collection = parse_sigma_yaml(&text).unwrap();
                assert!(collection.errors.is_empty(), "{:?}", collection.errors);
                collection.rules.into_iter().next().unwrap()
            })
            .collect();
        Glance::new(&rules)
    }

    fn is_tried(detection: &str, json: &str) -> bool {
        glance(&[detection]).rules(json.as_bytes()) == [0]
    }

    #[test]
    fn a_rule_is_passed_over_only_where_its_texts_are_missing() {
        let both = "    a:\n        action: doc.read\n        message|contains: [alpha, beta]\n    condition: a\n";
        assert!(is_tried(both, r#"{"action":"DOC.read","message":"has Beta"}"#));
        assert!(!is_tried(both, r#"{"action":"doc.read","message":"gamma"}"#));
        assert!(!is_tried(both, r#"{"action":"doc.write","message":"alpha"}"#));
        let all = "    a:\n        message|contains|all: [alpha, beta]\n    condition: a\n";
        assert!(!is_tried(all, r#"{"message":"alpha"}"#));
        assert!(is_tried(all, r#"{"message":"beta alpha"}"#));
        let either = "    a:\n        actor: root\n    b:\n        actor: toor\n    condition: a or b\n";
        assert!(is_tried(either, r#"{"actor":"toor"}"#));
        assert!(!is_tried(either, r#"{"actor":"anna"}"#));
        let not = "    a:\n        actor: root\n    b:\n        source: '10.*'\n    condition: a and not b\n";
        assert!(is_tried(not, r#"{"actor":"root","source":"192.168.0.1"}"#));
        let of = "    s_a:\n        actor: root\n    s_b:\n        actor: toor\n    t:\n        host: there\n    condition: 1 of s_* and t\n";
        assert!(is_tried(of, r#"{"actor":"toor","source":{"host":"there"}}"#));
        assert!(!is_tried(of, r#"{"actor":"toor","source":{"host":"here"}}"#));
        let expression = "    a:\n        message|re: '^(exit|end) code [1-9]+ of (job|task) 17$'\n    condition: a\n";
        assert!(is_tried(expression, r#"{"message":"end code 3 of job 17"}"#));
        assert!(!is_tried(expression, r#"{"message":"end of job 17"}"#));
        let wildcard = "    a:\n        message: 'first*second part'\n    condition: a\n";
        assert!(is_tried(wildcard, r#"{"message":"second part, not first"}"#), "it may still not match");
        assert!(!is_tried(wildcard, r#"{"message":"first and second"}"#));
    }

    #[test]
    fn what_is_not_understood_is_always_tried() {
        for detection in [
            "    a:\n        message|re|i: 'words'\n    condition: a\n",
            "    a:\n        message|re: '(?i)words'\n    condition: a\n",
            "    a:\n        message|re: 'one|two'\n    condition: a\n",
            "    a:\n        message|re: '(words)*'\n    condition: a\n",
            "    a:\n        message|re: 'x{3}'\n    condition: a\n",
            "    a:\n        attributes.bytes|gt: 7\n    condition: a\n",
            "    a:\n        attributes.bytes: 7\n    condition: a\n",
            "    a:\n        source|cidr: 10.0.0.0/8\n    condition: a\n",
            "    a:\n        - mimikatz\n        - lsass\n    condition: a\n",
            "    a:\n        via: native\n    condition: a\n",
            "    a:\n        kind: other\n    condition: a\n",
            "    a:\n        outcome: 'unk*'\n    condition: a\n",
            "    a:\n        actor: root\n    condition: not a\n",
            "    a:\n        actor: root\n    b:\n        message|re: x\n    condition: a or b\n",
            "    a:\n        actor: '*'\n    condition: a\n",
            "    a:\n        attributes.port: '443'\n    condition: a\n",
            "    a:\n        actor: 'é'\n    condition: a\n",
        ] {
            assert!(is_tried(detection, "{}"), "{detection}");
        }
    }

    #[test]
    fn letters_that_hide_are_no_way_past_a_rule() {
        let rule = "    a:\n        action: kill\n    condition: a\n";
        assert!(!is_tried(rule, r#"{"action":"spare"}"#));
        assert!(is_tried(rule, r#"{"action":"\u006bill"}"#));
        assert!(is_tried(rule, "{\"action\":\"\u{212a}ill\"}"));
        assert!(is_tried(rule, "{\"action\":\"k\u{130}ll\"}"));
        // And what was found of an event is no matter for the next one.
        let two = "    a:\n        action: kill\n        message: now\n    condition: a\n";
        let mut glance = glance(&[two]);
        assert!(glance.rules(br#"{"action":"kill"}"#).is_empty());
        assert!(glance.rules(br#"{"message":"now"}"#).is_empty());
        assert_eq!(glance.rules(br#"{"message":"now","action":"kill"}"#), [0]);
        assert_eq!(glance.rules(br#"{"action":"kill","message":"\t"}"#), [0]);
        assert!(glance.rules(br#"{"message":"now"}"#).is_empty());
    }
}
