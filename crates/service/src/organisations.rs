//! Organisations: a tree, each node with a log of its own.

use jiff::Timestamp;
use log::LogId;
use serde_json::json;
use unicode_normalization::UnicodeNormalization;

use crate::access::{Principal, Verb};
use crate::control::path::{self, Resolved};
use crate::control::record::Record;
use crate::control::state::{Org, State, normal_name};
use crate::error::{Error, Result};
use crate::model::event::TargetDraft;
use crate::model::{Kind, OrgId, Outcome, time};
use crate::own_events;
use crate::service::Service;

/// Longest name of an organisation, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 200;

/// Longest slug made from a name, in characters.
const SLUG_CHARS_MAX: usize = 40;

/// Longest slug that may be chosen, in characters: what a label of a host name holds.
pub const SLUG_CHOSEN_CHARS_MAX: usize = 63;

/// Deepest nesting of organisations.
const DEPTH_MAX: usize = 32;

/// An organisation, as callers within reach see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgInfo {
    /// Its id.
    pub id: OrgId,
    /// The organisation it lies under; `None` for one at the top.
    pub parent: Option<OrgId>,
    /// Its name: unique among its siblings, compared after Unicode NFC, case counts.
    pub name: String,
    /// A name for addresses (host names, tenants): lower-case letters, digits and hyphens, unique per server. Made from the
    /// name unless one was chosen; a later change of the name leaves it.
    pub slug: String,
    /// The names from the top of the reader's reach down to this one, joined by `/`, with `/` in a name written `\\/` and `\\` written `\\\\`.
    pub path: String,
    /// The log that holds its events.
    pub log: LogId,
    /// The log's origin, as checkpoints print it.
    pub origin: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What to change about an organisation; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct OrgChange {
    /// Another name.
    pub name: Option<String>,
    /// Another name for addresses; the old one stops working at once.
    pub slug: Option<String>,
}

impl Service {
    /// As [`Service::create_org_with_slug`], with a slug made from the name.
    pub async fn create_org(&self, who: &Principal, parent: OrgId, name: &str) -> Result<OrgInfo> {
        self.create_org_with_slug(who, parent, name, None).await
    }

    /// Makes an organisation under `parent`, with a log of its own that is open when this returns.
    ///
    /// `slug`: 1 to 63 lower-case letters, digits and inner hyphens; `None`: made from the name, numbered when it is taken.
    ///
    /// # Errors
    /// `Invalid`: the name is empty, longer than 200 bytes or has control characters, or the slug is none. `Conflict`: a
    /// sibling has the name, or anybody the slug. `NotFound`: no such parent within reach. `Forbidden`: not an administrator.
    pub async fn create_org_with_slug(
        &self,
        who: &Principal,
        parent: OrgId,
        name: &str,
        slug: Option<&str>,
    ) -> Result<OrgInfo> {
        self.allow(who, Verb::ManageOrganisations, parent)?;
        let name = check_name(name)?;
        let chosen = slug.map(check_slug).transpose()?;
        let id = OrgId::from_bytes(self.random());
        let log = LogId(self.random());
        let control = self.control();
        control
            .execute(Some(who.account), move |state| {
                if state.chain(parent).count() >= DEPTH_MAX {
                    return Err(Error::invalid(format!("organisations nest at most {DEPTH_MAX} deep")));
                }
                if state.sibling(Some(parent), &name).is_some() {
                    return Err(Error::conflict(format!("there is an organisation called {name} already")));
                }
                let slug = match chosen {
                    Some(chosen) if state.org_by_slug(&chosen).is_some() => return Err(slug_taken(&chosen)),
                    Some(chosen) => chosen,
                    None => make_slug(&name, |slug| state.org_by_slug(slug).is_some()),
                };
                let log = log.to_string();
                Ok((vec![Record::OrganisationCreated { id, parent: Some(parent), name, slug, log }], ()))
            })
            .await?;
        // The record is durable, so the organisation exists; if we stop here, the next open creates the log.
        self.create_log(log).await?;
        let info = self.get_org(who, id)?;
        let mut draft =
            own_events::draft(own_events::ORGANISATION_CREATED, Kind::Admin, Outcome::Success, Some(who), &who.caller);
        draft.targets.push(target(&info));
        draft
            .attributes
            .extend(own_events::change(json!({}), json!({"name": info.name, "slug": info.slug, "parent": parent})));
        self.record_now(who, id, &draft).await;
        Ok(info)
    }

    /// Gives an organisation another name. Its id, slug and log stay. Errors as for [`Service::update_org`].
    pub async fn rename_org(&self, who: &Principal, org: OrgId, name: &str) -> Result<OrgInfo> {
        self.update_org(who, org, OrgChange { name: Some(name.to_owned()), slug: None }).await
    }

    /// Changes name and slug of an organisation, both or neither. Its id and log stay.
    ///
    /// # Errors
    /// As for [`Service::create_org_with_slug`].
    pub async fn update_org(&self, who: &Principal, org: OrgId, change: OrgChange) -> Result<OrgInfo> {
        self.allow(who, Verb::ManageOrganisations, org)?;
        let name = change.name.as_deref().map(check_name).transpose()?;
        let slug = change.slug.as_deref().map(check_slug).transpose()?;
        let (before, after) = self
            .control()
            .execute(Some(who.account), move |state| {
                let current = state.org(org).ok_or_else(no_org)?;
                let name = name.filter(|name| *name != current.name);
                let slug = slug.filter(|slug| *slug != current.slug);
                if let Some(name) = name.as_ref().filter(|name| state.sibling(current.parent, name).is_some()) {
                    return Err(Error::conflict(format!("there is an organisation called {name} already")));
                }
                if let Some(slug) = slug.as_ref().filter(|slug| state.org_by_slug(slug).is_some()) {
                    return Err(slug_taken(slug));
                }
                let before = json!({"name": current.name, "slug": current.slug});
                let after = json!({
                    "name": name.as_ref().unwrap_or(&current.name),
                    "slug": slug.as_ref().unwrap_or(&current.slug),
                });
                let renamed = name.map(|name| Record::OrganisationRenamed { id: org, name });
                let addressed = slug.map(|slug| Record::OrganisationSlugSet { id: org, slug });
                Ok((renamed.into_iter().chain(addressed).collect(), (before, after)))
            })
            .await?;
        let info = self.get_org(who, org)?;
        if before != after {
            let mut draft = own_events::draft(
                own_events::ORGANISATION_RENAMED,
                Kind::Admin,
                Outcome::Success,
                Some(who),
                &who.caller,
            );
            draft.targets.push(target(&info));
            draft.attributes.extend(own_events::change(before, after));
            self.record_now(who, org, &draft).await;
        }
        Ok(info)
    }

    /// One organisation within reach.
    pub fn get_org(&self, who: &Principal, org: OrgId) -> Result<OrgInfo> {
        self.allow(who, Verb::ReadOrganisations, org)?;
        let state = self.control().state();
        state.org(org).map(|org| self.org_info(&state, org, who.org)).ok_or_else(no_org)
    }

    /// Every organisation within reach, in the order of their creation (so parents come before children).
    pub fn list_orgs(&self, who: &Principal) -> Result<Vec<OrgInfo>> {
        self.allow(who, Verb::ReadOrganisations, who.org)?;
        let state = self.control().state();
        let within = state.orgs().iter().filter(|org| state.is_within(org.id, who.org));
        Ok(within.map(|org| self.org_info(&state, org, who.org)).collect())
    }

    /// Finds the organisation that `text` means: an id, or a name or path by the rule of `specs/silo.md` section 4.
    ///
    /// # Errors
    /// `NotFound`: none within reach (existing elsewhere makes no difference). `Conflict`: more than one.
    pub fn resolve_org(&self, who: &Principal, text: &str) -> Result<OrgId> {
        let state = self.control().state();
        if let Ok(id) = text.parse::<OrgId>() {
            return if state.is_within(id, who.org) { Ok(id) } else { Err(no_org()) };
        }
        match path::resolve(&state, who.org, text) {
            Resolved::One(id) => Ok(id),
            Resolved::None => Err(no_org()),
            Resolved::Several => Err(Error::conflict("more than one organisation has this name; give a path")),
        }
    }

    /// The organisation with this slug, whoever asks: for host names and tenants, before anybody is logged in.
    pub fn find_org_by_slug(&self, slug: &str) -> Option<OrgId> {
        self.control().state().org_by_slug(slug).map(|org| org.id)
    }

    /// The organisation that owns this log, whoever asks.
    pub fn find_org_by_log(&self, log: LogId) -> Option<OrgId> {
        self.control().state().org_by_log(log).map(|org| org.id)
    }

    /// The organisation made by `init`: where events go that concern no other one.
    pub fn default_org(&self) -> OrgId {
        self.control().state().orgs().first().expect("opening checks that init made an organisation").id
    }

    fn org_info(&self, state: &State, org: &Org, top: OrgId) -> OrgInfo {
        let mut names = Vec::new();
        for ancestor in state.chain(org.id) {
            names.push(ancestor.name.as_str());
            // What lies above the reader's reach has no name for the reader.
            if ancestor.id == top {
                break;
            }
        }
        OrgInfo {
            id: org.id,
            parent: org.parent.filter(|_| org.id != top),
            name: org.name.clone(),
            slug: org.slug.clone(),
            path: path::join(names.into_iter().rev()),
            log: org.log,
            origin: self.logs().origin(&org.log),
            created_at: time::from_micros(org.created_at_us),
        }
    }
}

/// What is said of an organisation that does not exist and of one out of reach alike.
pub(crate) fn no_org() -> Error {
    Error::not_found("no such organisation")
}

fn target(org: &OrgInfo) -> TargetDraft {
    TargetDraft { kind: Some("organisation".into()), id: Some(org.id.to_string()), name: Some(org.name.clone()) }
}

/// The name as it is kept: trimmed, Unicode NFC.
pub(crate) fn check_name(name: &str) -> Result<String> {
    let name = normal_name(name);
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::invalid("the name is empty or has control characters"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("the name is longer than {NAME_BYTES_MAX} bytes")));
    }
    Ok(name)
}

fn slug_taken(slug: &str) -> Error {
    Error::conflict(format!("the slug {slug} is taken"))
}

/// A slug that somebody chose. Nothing is changed about it: whoever writes another case would expect it back.
fn check_slug(slug: &str) -> Result<String> {
    let is_plain = slug.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let has_edge = slug.starts_with('-') || slug.ends_with('-');
    if slug.is_empty() || slug.len() > SLUG_CHOSEN_CHARS_MAX || !is_plain || has_edge {
        return Err(Error::invalid(format!(
            "a slug has 1 to {SLUG_CHOSEN_CHARS_MAX} lower-case letters, digits and hyphens, and no hyphen at its ends"
        )));
    }
    Ok(slug.to_owned())
}

/// A slug made from a name: letters without their marks, digits, hyphens between; numbered when it is taken.
pub(crate) fn make_slug(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut slug = String::new();
    for c in name.nfkd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() == SLUG_CHARS_MAX {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "org" } else { slug };
    if !is_taken(slug) {
        return slug.to_owned();
    }
    (2u64..)
        .map(|n| format!("{slug}-{n}"))
        .find(|slug| !is_taken(slug))
        .expect("there are more numbers than organisations")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_fit_for_host_names() {
        let check = |name: &str, expected: &str| assert_eq!(make_slug(name, |_| false), expected, "{name}");
        check("Acme", "acme");
        check("Zürich & Söhne AG", "zurich-sohne-ag");
        check("  --  ", "org");
        check("会社", "org");
        check(&"long ".repeat(30), "long-long-long-long-long-long-long-long");
        assert_eq!(make_slug("Acme", |slug| slug == "acme" || slug == "acme-2"), "acme-3");
    }

    #[test]
    fn a_chosen_slug_is_a_label_of_a_host_name() {
        for slug in ["a", "acme", "acme-2", "0", "a--b", &"a".repeat(63)] {
            assert_eq!(check_slug(slug).unwrap(), slug);
        }
        for slug in ["", "Acme", "-a", "a-", "a b", "a/b", "a.b", "\u{fc}", &"a".repeat(64)] {
            assert!(check_slug(slug).is_err(), "{slug}");
        }
    }
}
