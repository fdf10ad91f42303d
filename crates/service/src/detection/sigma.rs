//! Rules in the Sigma language, with correlations, evaluated by `rsigma` behind our own face: its state is ours to keep, and a
//! rule that cannot run is refused by name when it is loaded (`docs/decisions/0020-sigma-by-rsigma.md`).

use std::collections::{BTreeMap, BTreeSet};

use rsigma_eval::event::JsonEvent;
use rsigma_eval::fields::RuleFieldSet;
use rsigma_eval::{
    CorrelationConfig, CorrelationEngine, CorrelationEventMode, CorrelationSnapshot, Engine, TimestampFallback,
};
use rsigma_parser::{Level, SigmaCollection, SigmaRule, parse_sigma_yaml};

use super::fact::{Fact, ORG, is_known};
use super::glance::Glance;
use super::rule::{Finding, RuleInfo, Rules, Seen};

/// After a finding the same rule says nothing of the same account or source for this long, in seconds.
const QUIET_S: u64 = 3_600;
/// Numbers of events that a finding names at most: the last ones.
const EVENTS_MAX: usize = 100;
/// Groups that are counted at once, over all rules; the oldest are forgotten beyond.
const GROUPS_MAX: usize = 20_000;
/// Events of one group that are counted; beyond, counting saturates, which is above every sensible threshold.
const GROUP_EVENTS_MAX: usize = 10_000;

/// Every Sigma rule that was loaded, and why others were not.
pub struct Sigma {
    /// Counts what the rules match.
    engine: CorrelationEngine,
    /// Each rule by itself.
    each: Vec<Engine>,
    glance: Glance,
    /// Those that the event seen last could match.
    tried: Vec<usize>,
    rules: Vec<RuleInfo>,
}

impl Sigma {
    /// Loads files: name and text. A file with an error is left out as a whole and shown with the reason.
    pub fn load(files: &[(String, String)]) -> Sigma {
        let mut all = SigmaCollection::new();
        let mut rules = Vec::new();
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for (file, text) in files {
            match read(text) {
                Ok(collection) => {
                    let infos = infos(file, &collection);
                    if let Some(twice) = infos.iter().find(|info| !ids.insert(info.id.clone())) {
                        let problem = format!("the id {} is that of another rule", twice.id);
                        rules.push(RuleInfo::refused(file, &problem));
                        continue;
                    }
                    rules.extend(infos);
                    all.rules.extend(collection.rules);
                    all.correlations.extend(collection.correlations);
                    all.filters.extend(collection.filters);
                }
                Err(problem) => rules.push(RuleInfo::refused(file, &problem)),
            }
        }
        let mut engine = engine();
        // Each file ran by itself; together they can only fail if one names a rule of another that is not there.
        let each = engine.add_collection(&all).and_then(|()| all.rules.iter().map(|rule| alone(rule, &all)).collect());
        let each = each.unwrap_or_else(|error| {
            engine = CorrelationEngine::new(config());
            rules.iter_mut().for_each(|rule| rule.problem = Some(format!("the rules do not run together: {error}")));
            Vec::new()
        });
        let glance = Glance::new(if each.is_empty() { &[] } else { &all.rules });
        Sigma { engine, each, glance, tried: Vec::new(), rules }
    }
}

/// One rule, with the filters of all.
fn alone(rule: &SigmaRule, all: &SigmaCollection) -> rsigma_eval::Result<Engine> {
    let mut collection = SigmaCollection::new();
    collection.rules.push(rule.clone());
    collection.filters.clone_from(&all.filters);
    let mut engine = Engine::new();
    engine.add_collection(&collection)?;
    Ok(engine)
}

fn config() -> CorrelationConfig {
    CorrelationConfig {
        timestamp_fallback: TimestampFallback::Skip,
        max_state_entries: GROUPS_MAX,
        max_group_entries: Some(GROUP_EVENTS_MAX),
        suppress: Some(QUIET_S),
        emit_detections: false,
        correlation_event_mode: CorrelationEventMode::Refs,
        max_correlation_events: EVENTS_MAX,
        ..CorrelationConfig::default()
    }
}

fn engine() -> CorrelationEngine {
    CorrelationEngine::new(config())
}

/// Reads a file, and tries whether it runs.
fn read(text: &str) -> Result<SigmaCollection, String> {
    let mut collection = parse_sigma_yaml(text).map_err(|error| error.to_string())?;
    if let Some(error) = collection.errors.first() {
        return Err(error.clone());
    }
    if collection.rules.is_empty() && collection.correlations.is_empty() {
        return Err("there is no rule in it".to_owned());
    }
    let unknown: Vec<String> = RuleFieldSet::collect(&collection, &[], true)
        .names()
        .filter(|name| !is_known(name))
        .map(str::to_owned)
        .collect();
    if !unknown.is_empty() {
        let known = super::fact::FIELDS.join(", ");
        return Err(format!("no event has the field {}; there are: {known}, attributes.NAME", unknown.join(", ")));
    }
    if let Some(rule) = collection.rules.iter().find(|rule| rule.id.is_none()) {
        return Err(format!("the rule {:?} has no id", rule.title));
    }
    if let Some(rule) = collection.correlations.iter().find(|rule| rule.id.is_none()) {
        return Err(format!("the rule {:?} has no id", rule.title));
    }
    for correlation in &mut collection.correlations {
        correlation.group_by.push(ORG.to_owned());
    }
    engine().add_collection(&collection).map_err(|error| error.to_string())?;
    Ok(collection)
}

/// What there is to say of the rules of a file.
fn infos(file: &str, collection: &SigmaCollection) -> Vec<RuleInfo> {
    let fields = |rules: SigmaCollection| -> BTreeSet<String> {
        RuleFieldSet::collect(&rules, &[], false).names().filter(|name| *name != ORG).map(str::to_owned).collect()
    };
    let info = |id: Option<String>, title: String, level: Option<Level>, alone: SigmaCollection| RuleInfo {
        id: id.unwrap_or_default(),
        title,
        level: level.map_or_else(|| "medium".to_owned(), |level| level.as_str().to_owned()),
        file: file.to_owned(),
        fields: fields(alone),
        problem: None,
    };
    let mut infos = Vec::new();
    for rule in &collection.rules {
        let mut alone = SigmaCollection::new();
        alone.rules.push(rule.clone());
        infos.push(info(rule.id.clone(), rule.title.clone(), rule.level, alone));
    }
    for rule in &collection.correlations {
        let mut alone = SigmaCollection::new();
        alone.correlations.push(rule.clone());
        infos.push(info(rule.id.clone(), rule.title.clone(), rule.level, alone));
    }
    infos
}

impl Rules for Sigma {
    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    fn glance(&mut self, _org: u32, seen: &Seen<'_>) -> bool {
        self.tried = self.glance.rules(seen.json);
        !self.tried.is_empty()
    }

    fn evaluate(&mut self, _org: u32, fact: &Fact) -> Vec<Finding> {
        let event = JsonEvent::borrow(&fact.value);
        let matched: Vec<_> = self.tried.iter().flat_map(|&rule| self.each[rule].evaluate(&event)).collect();
        if matched.is_empty() {
            return Vec::new();
        }
        let results = self.engine.process_with_detections(&event, matched, fact.at_s);
        let mut found = Vec::new();
        for result in results {
            let level = result.header.level.map_or("medium", |level| level.as_str());
            // What other rules are made of is not worth telling by itself.
            if level == "informational" {
                continue;
            }
            let mut finding = Finding {
                rule: result.header.rule_id.clone().unwrap_or_else(|| result.header.rule_title.clone()),
                title: result.header.rule_title.clone(),
                level: level.to_owned(),
                tags: result.header.tags.clone(),
                group: BTreeMap::new(),
                count: 1,
                window_s: None,
                first_s: fact.at_s,
                last_s: fact.at_s,
                events: vec![fact.number],
                why: String::new(),
            };
            if let Some(correlation) = result.as_correlation() {
                let group = correlation.group_key.iter().filter(|(name, _)| name != ORG);
                finding.group = group.cloned().collect();
                finding.count = correlation.aggregated_value as u64;
                finding.window_s = Some(correlation.timespan_secs);
                let refs = correlation.event_refs.as_deref().unwrap_or_default();
                let numbers: BTreeSet<u64> =
                    refs.iter().filter_map(|event| event.id.as_ref()?.parse().ok()).chain([fact.number]).collect();
                finding.events = numbers.into_iter().collect();
                finding.first_s = refs.iter().map(|event| event.timestamp).min().unwrap_or(fact.at_s).min(fact.at_s);
            } else {
                let named = [("actor", &fact.actor), ("source", &fact.source)];
                finding.group = named.into_iter().filter_map(|(n, v)| Some((n.to_owned(), v.clone()?))).collect();
            }
            found.push(finding);
        }
        found
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(self.engine.export_state()).unwrap_or_else(|error| {
            tracing::error!(%error, "what the rules remember cannot be kept; after a restart they begin anew");
            serde_json::Value::Null
        })
    }

    fn restore(&mut self, state: serde_json::Value) -> Result<(), String> {
        let state: CorrelationSnapshot = serde_json::from_value(state).map_err(|error| error.to_string())?;
        match self.engine.import_state(state) {
            true => Ok(()),
            false => Err("it is of another version".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Kind, Outcome};

    /// One of each sort of condition, and what counts them.
    const RULES: &str = "
title: Words
id: rule-1
name: words
logsource: {product: counterfoil}
detection:
    a:
        action: doc.read
        message|contains: [alpha, beta]
    condition: a
level: low
---
title: Not
id: rule-2
logsource: {product: counterfoil}
detection:
    a: {actor: root}
    b: {'message|re': 'a.*t'}
    condition: a and not b
level: low
---
title: Of
id: rule-3
logsource: {product: counterfoil}
detection:
    s_one: {'message|startswith': 'be'}
    s_two: {'message|endswith|cased': 'PHA'}
    t: {'attributes.region': ['eu', 'u?']}
    condition: 1 of s_* and t or all of them
level: low
---
title: Unsaid
id: rule-4
logsource: {product: counterfoil}
detection:
    a: {kind: other, outcome: unknown}
    condition: a
level: low
---
title: Expression
id: rule-6
logsource: {product: counterfoil}
detection:
    a: {'message|re': '^(be|al) ?[a-p]+t?a?$'}
    b: {'message|re': 'be.*t'}
    condition: a or b
level: low
---
title: Many
id: rule-5
correlation:
    type: event_count
    rules: [words]
    group-by: [actor]
    timespan: 1m
    condition: {gte: 2}
level: high
";

    fn event() -> impl Strategy<Value = String> {
        let word = |words: &'static [&'static str]| prop::sample::select(words);
        (
            word(&["doc.read", "DOC.READ", "doc.write", r"doc.r\u0065ad"]),
            word(&["root", "anna", "Root"]),
            word(&["alpha", "beta", "ALPHA", "gamma", "be at", r"\u0062eta", "alp", "pha"]),
            word(&["eu", "us", "EU", "ap"]),
            word(&["", r#","kind":"file""#, r#","kind":"other","outcome":"unknown""#]),
        )
            .prop_map(|(action, actor, message, region, rest)| {
                format!(
                    r#"{{"action":"{action}","actor":"{actor}","message":"{message}","attributes":{{"region":"{region}"}}{rest}}}"#
                )
            })
    }

    fn fact(number: u64, json: &str) -> Fact {
        let mut value: Value = serde_json::from_str(json).unwrap();
        let actor = value["actor"].as_str().map(str::to_owned);
        for (name, unsaid) in [("kind", "other"), ("outcome", "unknown")] {
            value.as_object_mut().unwrap().entry(name).or_insert(json!(unsaid));
        }
        value["id"] = json!(number.to_string());
        value[ORG] = json!("0");
        let (kind, outcome) = (Kind::Other, Outcome::Unknown);
        Fact { number, at_s: 1_000 + number as i64, kind, outcome, actor, source: None, value }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Passing rules over that cannot match changes nothing of what is found.
        #[test]
        fn what_is_found_does_not_depend_on_what_is_passed_over(events in prop::collection::vec(event(), 1..40)) {
            let files = [("rules.yml".to_owned(), RULES.to_owned())];
            let (mut ours, mut all) = (Sigma::load(&files), Sigma::load(&files));
            prop_assert!(ours.rules.iter().all(|rule| rule.problem.is_none()), "{:?}", ours.rules);
            let mut passed_over = 0;
            for (number, json) in events.iter().enumerate() {
                let number = number as u64 + 1;
                let fact = fact(number, json);
                let seen = Seen { number, recorded_s: 0, sender: None, json: json.as_bytes() };
                let found = if ours.glance(0, &seen) { ours.evaluate(0, &fact) } else { Vec::new() };
                passed_over += all.each.len() - ours.tried.len();
                all.tried = (0..all.each.len()).collect();
                prop_assert_eq!(found, all.evaluate(0, &fact), "{}", json);
            }
            prop_assert!(passed_over > 0 || events.len() < 10, "nothing was passed over, so nothing was tried here");
        }
    }
}
