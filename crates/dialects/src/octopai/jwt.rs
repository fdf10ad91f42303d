//! The access token: a JSON web token signed with HMAC-SHA-256, in the form of the vendor's sample.
//!
//! Clients treat it as opaque and the service decides whether it holds; the signature is checked first all the same, so
//! that a token altered in any bit is refused before anything is looked up. SPEC.md §3.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Settings;

/// Seconds from login to the end of the token. Source: the sample token (`exp` − `iat`).
pub const LIFETIME_S: i64 = 7_200;
/// Seconds by which `nbf` lies before `iat`. Source: the sample token.
const NOT_BEFORE_SLACK_S: i64 = 60;
/// The whole first part. Any other, and with it any other algorithm, is refused.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// What a token says, in the order of the vendor's sample; `jti` is ours, so that two logins in one second differ.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The account's login name.
    pub email: String,
    /// Its display name.
    pub unique_name: String,
    /// `IsAdmin` for an admin, absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// `admin` or `user`.
    #[serde(rename = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/authentication")]
    pub authentication: String,
    /// Not before, whole seconds since the epoch.
    pub nbf: i64,
    /// End, whole seconds since the epoch.
    pub exp: i64,
    /// Time of login, whole seconds since the epoch.
    pub iat: i64,
    /// A setting.
    pub iss: String,
    /// A setting.
    pub aud: String,
    /// Random, 22 characters. Ours.
    pub jti: String,
}

impl Claims {
    /// Claims of a token handed out at `now_s` (whole seconds since the epoch).
    pub fn new(
        email: &str,
        display_name: &str,
        admin: bool,
        now_s: i64,
        settings: &Settings,
        nonce: [u8; 16],
    ) -> Claims {
        Claims {
            email: email.to_owned(),
            unique_name: display_name.to_owned(),
            role: admin.then(|| "IsAdmin".to_owned()),
            authentication: if admin { "admin" } else { "user" }.to_owned(),
            nbf: now_s - NOT_BEFORE_SLACK_S,
            exp: now_s + LIFETIME_S,
            iat: now_s,
            iss: settings.issuer.clone(),
            aud: settings.audience.clone(),
            jti: URL_SAFE_NO_PAD.encode(nonce),
        }
    }
}

/// Signs and checks tokens under one key.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
}

impl Signer {
    /// `key`: 32 secret bytes that outlive a restart, or every token dies with it.
    pub fn new(key: [u8; 32]) -> Signer {
        Signer { key }
    }

    /// The token: three base64url parts joined by dots.
    pub fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_vec(claims).expect("strings and integers always serialise");
        let mut token = URL_SAFE_NO_PAD.encode(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.mac(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The claims of `token` if this key signed exactly it; says nothing about its times. The comparison takes the
    /// same time wherever the first difference lies.
    pub fn open(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
            return None;
        }
        self.mac(signed).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Claims {
        let settings = Settings { issuer: "DemoIssuer".to_owned(), audience: "DemoAudience".to_owned() };
        Claims::new("support@octopai.com", "Octopai Support", true, 1_717_658_359, &settings, [7; 16])
    }

    #[test]
    fn the_claims_are_those_of_the_vendors_sample_and_one_of_ours() {
        assert_eq!(
            serde_json::to_string(&sample()).unwrap(),
            r#"{"email":"support@octopai.com","unique_name":"Octopai Support","role":"IsAdmin","http://schemas.xmlsoap.org/ws/2005/05/identity/claims/authentication":"admin","nbf":1717658299,"exp":1717665559,"iat":1717658359,"iss":"DemoIssuer","aud":"DemoAudience","jti":"BwcHBwcHBwcHBwcHBwcHBw"}"#
        );
        let user = Claims::new("a@b", "A", false, 0, &Settings::default(), [0; 16]);
        assert!(serde_json::to_string(&user).unwrap().contains(r#"claims/authentication":"user""#));
        assert!(!serde_json::to_string(&user).unwrap().contains("role"));
    }

    #[test]
    fn a_token_changed_in_any_character_is_refused() {
        let signer = Signer::new([1; 32]);
        let token = signer.sign(&sample());
        assert_eq!(signer.open(&token).unwrap().exp, 1_717_665_559);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(signer.open(&changed).is_none(), "changed at {at}");
        }
        assert!(Signer::new([2; 32]).open(&token).is_none());
    }

    #[test]
    fn another_algorithm_is_refused_even_when_signed_with_our_key() {
        let signer = Signer::new([1; 32]);
        for header in [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"HS512","typ":"JWT"}"#, r#"{"alg":"HS256"}"#] {
            let signed = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode(serde_json::to_vec(&sample()).unwrap())
            );
            let signature = URL_SAFE_NO_PAD.encode(signer.mac(&signed).finalize().into_bytes());
            assert!(signer.open(&format!("{signed}.{signature}")).is_none(), "{header}");
            assert!(signer.open(&format!("{signed}.")).is_none(), "{header}");
        }
    }
}
