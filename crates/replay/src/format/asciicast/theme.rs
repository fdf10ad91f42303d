//! A theme: two colours and a palette of 8 or 16, written `#rrggbb` and joined by colons.

use serde_json::Value;

use crate::cell::Rgb;
use crate::format::event::Theme;

/// `None` if there is none (absent, null, empty object); the reason if it is not what the format says.
pub(super) fn parse(value: Option<&Value>) -> Result<Option<Theme>, String> {
    let fields = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) if fields.is_empty() => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err("the theme is not an object".into()),
    };
    let colour = |name: &str| {
        let text = fields.get(name).and_then(Value::as_str).ok_or_else(|| format!("the theme has no {name}"))?;
        parse_colour(text).ok_or_else(|| format!("the theme's {name} is no colour"))
    };
    let palette = fields.get("palette").and_then(Value::as_str).ok_or("the theme has no palette")?;
    let palette: Option<Vec<Rgb>> = palette.split(':').map(parse_colour).collect();
    let palette = palette.filter(|palette| matches!(palette.len(), 8 | 16));
    let palette = palette.ok_or("the theme's palette is not 8 or 16 colours")?;
    Ok(Some(Theme { foreground: colour("fg")?, background: colour("bg")?, palette }))
}

/// As the format writes it; [`parse`] reads it back.
pub(super) fn write(theme: &Theme) -> Value {
    let text = |Rgb(red, green, blue): &Rgb| format!("#{red:02x}{green:02x}{blue:02x}");
    let palette: Vec<String> = theme.palette.iter().map(text).collect();
    serde_json::json!({"fg": text(&theme.foreground), "bg": text(&theme.background), "palette": palette.join(":")})
}

fn parse_colour(text: &str) -> Option<Rgb> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some(Rgb(red, green, blue))
}
