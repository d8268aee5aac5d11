//! Every setting of a function, by name, read from the variables of its environment.
//!
//! No other file reads them, except for the log filter in `telemetry`, which has to exist before a wrong setting
//! can be logged. A test compares the names with the variables that `template.yaml` sets.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contract::Dependency;

/// The settings of a function, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the stage, such as `local`, `dev` or `prod`. It is part of the tokens' issuer, and nothing may behave
    /// differently because of it.
    pub stage: String,
    /// The name of the DynamoDB table for look-ups across tenants, such as users and API keys.
    pub identity_table: String,
    /// The name of the DynamoDB table with the data of the tenants.
    pub tenant_table: String,
    /// The base URL of the Upstash REST API.
    pub upstash_url: String,
    /// The longest that a trip to Redis may take. The first trip of an environment, which also connects, may take
    /// two and a half times as long.
    pub redis_trip: Duration,
    /// The shortest time between two writes of an environment's metrics.
    pub metrics_flush: Duration,
    /// How long an environment trusts an API key and a plan that it has read.
    pub cache_for: Duration,
    /// How long an environment trusts the secrets that it read.
    pub secrets_for: Duration,
    /// A leader of shared work that does not renew its lock within this time has lost the lead.
    pub work_lease: Duration,
    /// A run that does not renew its lease within this time has lost its job.
    pub job_lease: Duration,
    /// How long after a deletion the last pass begins over what was deleted.
    pub deletion_grace: Duration,
    /// Whether an account can be used before its e-mail address is verified.
    pub sign_up: SignUpPolicy,
    /// The model that is asked first; without one, `builtin` answers.
    pub ai: Option<AiSettings>,
    /// The model that is asked when the first one cannot answer.
    pub ai_fallback: Option<AiSettings>,
    /// What models may cost in a day (UTC), in millionths of a dollar. For the rest of the day the stage answers
    /// without them. `None` is no limit.
    pub ai_daily_stop_micro_usd: Option<u64>,
}

/// Whether an account can be used before its e-mail address is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpPolicy {
    /// The account can be used once the link in the mail was opened.
    Verified,
    /// The account can be used at once, for work on a local stack.
    Open,
}

/// Where a model is called, and by which name. Its API must be compatible with OpenAI's.
#[derive(Debug, Clone)]
pub struct AiSettings {
    /// The URL that precedes `/chat/completions`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The name of the model at its provider.
    pub model: String,
    /// The price of the model, where the list of prices does not know it or is not to be believed.
    pub price: Option<ModelPrice>,
}

/// The price of a model, in micro-dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPrice {
    /// The price of a million tokens that the model reads.
    pub input: u64,
    /// The price of a million tokens that the model writes.
    pub output: u64,
}

/// The error of a setting that is missing or malformed.
#[derive(Debug, thiserror::Error)]
#[error("setting {name}: {problem}")]
pub struct SettingsError {
    name: &'static str,
    problem: &'static str,
}

/// The names of all settings: this file reads these and no others. The last seven may be absent or empty.
pub const NAMES: [&str; 19] = [
    "HUNTAZE_STAGE",
    "HUNTAZE_IDENTITY_TABLE",
    "HUNTAZE_TENANT_TABLE",
    "HUNTAZE_UPSTASH_URL",
    "HUNTAZE_REDIS_TRIP_MS",
    "HUNTAZE_METRICS_FLUSH_MS",
    "HUNTAZE_CACHE_MS",
    "HUNTAZE_SECRETS_MS",
    "HUNTAZE_WORK_LEASE_MS",
    "HUNTAZE_JOB_LEASE_MS",
    "HUNTAZE_DELETION_GRACE_MS",
    "HUNTAZE_SIGN_UP",
    "HUNTAZE_AI_BASE_URL",
    "HUNTAZE_AI_MODEL",
    "HUNTAZE_AI_PRICE_USD",
    "HUNTAZE_AI_FALLBACK_BASE_URL",
    "HUNTAZE_AI_FALLBACK_MODEL",
    "HUNTAZE_AI_FALLBACK_PRICE_USD",
    "HUNTAZE_AI_DAILY_STOP_USD",
];

impl Settings {
    /// The configured models, in the order in which they are asked.
    pub fn models(&self) -> impl Iterator<Item = (Dependency, &AiSettings)> {
        let first = self.ai.iter().map(|ai| (Dependency::Ai, ai));
        first.chain(self.ai_fallback.iter().map(|ai| (Dependency::AiFallback, ai)))
    }

    /// Reads and checks the settings from the variables of the process.
    ///
    /// # Errors
    /// [`SettingsError`], which names the first setting that is missing or malformed.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_environment() -> Result<Self, SettingsError> {
        let present = NAMES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?)));
        Self::from_values(&present.collect())
    }

    fn from_values(values: &BTreeMap<&'static str, String>) -> Result<Self, SettingsError> {
        let optional = |name| optional(values, name);
        let required = |name| {
            optional(name).ok_or(SettingsError { name, problem: "is missing; set it in template.yaml" })
        };
        let (ai, ai_fallback) = models(values)?;
        let ai_daily_stop_micro_usd =
            match optional("HUNTAZE_AI_DAILY_STOP_USD").map(|text| text.parse::<u64>()) {
                None => None,
                Some(Ok(usd @ 0..=1_000_000)) => Some(usd * 1_000_000),
                Some(_) => {
                    let problem =
                        "must be whole dollars, from 0 (no model at all) to 1000000, or empty for no stop";
                    return Err(SettingsError { name: "HUNTAZE_AI_DAILY_STOP_USD", problem });
                }
            };
        let millis = |name, range: std::ops::RangeInclusive<u64>, problem| {
            let millis = required(name)?.parse().ok().filter(|millis| range.contains(millis));
            millis.map(Duration::from_millis).ok_or(SettingsError { name, problem })
        };
        let redis_trip = millis("HUNTAZE_REDIS_TRIP_MS", 10..=5_000, "must be from 10 to 5000")?;
        let metrics_flush = millis("HUNTAZE_METRICS_FLUSH_MS", 0..=60_000, "must be from 0 to 60000")?;
        let cache_for = millis("HUNTAZE_CACHE_MS", 0..=60_000, "must be from 0 to 60000")?;
        let work_lease = millis("HUNTAZE_WORK_LEASE_MS", 1_000..=30_000, "must be from 1000 to 30000")?;
        let job_lease = millis("HUNTAZE_JOB_LEASE_MS", 500..=60_000, "must be from 500 to 60000")?;
        let deletion_grace =
            millis("HUNTAZE_DELETION_GRACE_MS", 0..=86_400_000, "must be from 0 to 86400000")?;
        let sign_up = match required("HUNTAZE_SIGN_UP")?.as_str() {
            "open" => SignUpPolicy::Open,
            "verified" => SignUpPolicy::Verified,
            _ => {
                return Err(SettingsError {
                    name: "HUNTAZE_SIGN_UP",
                    problem: "must be `open` or `verified`",
                });
            }
        };
        Ok(Self {
            stage: required("HUNTAZE_STAGE")?,
            identity_table: required("HUNTAZE_IDENTITY_TABLE")?,
            tenant_table: required("HUNTAZE_TENANT_TABLE")?,
            upstash_url: required("HUNTAZE_UPSTASH_URL")?,
            redis_trip,
            metrics_flush,
            cache_for,
            secrets_for: millis("HUNTAZE_SECRETS_MS", 1_000..=3_600_000, "must be from 1000 to 3600000")?,
            work_lease,
            job_lease,
            deletion_grace,
            sign_up,
            ai,
            ai_fallback,
            ai_daily_stop_micro_usd,
        })
    }
}

/// The text of a setting that may be absent or empty.
fn optional(values: &BTreeMap<&'static str, String>, name: &'static str) -> Option<String> {
    values.get(name).filter(|value| !value.is_empty()).cloned()
}

/// The model that is asked first, and the one that stands in for it.
fn models(
    values: &BTreeMap<&'static str, String>,
) -> Result<(Option<AiSettings>, Option<AiSettings>), SettingsError> {
    let optional = |name| optional(values, name);
    let price_of = |setting: &'static str| match optional(setting) {
        None => Ok(None),
        Some(text) => match price(&text) {
            Some(price) => Ok(Some(price)),
            None => Err(SettingsError {
                name: setting,
                problem: "must be dollars for a million tokens read and written, such as 0.15/0.60",
            }),
        },
    };
    let model = |url: &'static str, name: &'static str, price| match (optional(url), optional(name)) {
        (Some(base_url), Some(model)) => Ok(Some(AiSettings { base_url, model, price: price_of(price)? })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingsError { name, problem: "is needed with the address of the model" }),
        (None, Some(_)) => Err(SettingsError { name: url, problem: "is needed with the model's name" }),
    };
    let ai = model("HUNTAZE_AI_BASE_URL", "HUNTAZE_AI_MODEL", "HUNTAZE_AI_PRICE_USD")?;
    let ai_fallback =
        model("HUNTAZE_AI_FALLBACK_BASE_URL", "HUNTAZE_AI_FALLBACK_MODEL", "HUNTAZE_AI_FALLBACK_PRICE_USD")?;
    if ai.is_none() && ai_fallback.is_some() {
        let problem = "needs a first model, HUNTAZE_AI_MODEL, to stand in for";
        return Err(SettingsError { name: "HUNTAZE_AI_FALLBACK_MODEL", problem });
    }
    Ok((ai, ai_fallback))
}

/// The price in a text such as `0.15/0.60`: dollars for a million tokens that the model reads, and that it writes.
fn price(text: &str) -> Option<ModelPrice> {
    let micro_usd = |part: &str| {
        let usd = part.parse::<f64>().ok().filter(|usd| (0.0..=10_000.0).contains(usd))?;
        Some((usd * 1_000_000.0).round() as u64)
    };
    let (input, output) = text.split_once('/')?;
    Some(ModelPrice { input: micro_usd(input)?, output: micro_usd(output)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value for every setting, all of them valid.
    fn complete() -> BTreeMap<&'static str, String> {
        let value = |name: &str| match name {
            "HUNTAZE_SIGN_UP" => "open",
            "HUNTAZE_AI_DAILY_STOP_USD" => "100",
            name if name.ends_with("_PRICE_USD") => "0.15/0.60",
            name if name.ends_with("_MS") => "1000",
            _ => "x",
        };
        NAMES.iter().map(|name| (*name, value(name).to_owned())).collect()
    }

    #[test]
    fn every_required_setting_is_named_when_it_is_missing() {
        for name in &NAMES[..12] {
            let mut values = complete();
            values.insert(name, String::new());
            let error = Settings::from_values(&values).unwrap_err().to_string();
            assert!(error.starts_with(&format!("setting {name}:")), "{error}");
        }
    }

    #[test]
    fn a_model_without_its_address_is_a_mistake_and_not_a_default() {
        let mut values = complete();
        values.remove("HUNTAZE_AI_BASE_URL");
        assert!(Settings::from_values(&values).is_err());
        values.remove("HUNTAZE_AI_MODEL");
        assert!(Settings::from_values(&values).is_err(), "a fallback for nothing");
        values.remove("HUNTAZE_AI_FALLBACK_BASE_URL");
        assert!(Settings::from_values(&values).is_err());
        values.remove("HUNTAZE_AI_FALLBACK_MODEL");
        assert!(Settings::from_values(&values).unwrap().ai.is_none());
    }

    #[test]
    fn a_price_is_two_amounts_of_dollars_and_nothing_else() {
        assert_eq!(price("0.15/0.6"), Some(ModelPrice { input: 150_000, output: 600_000 }));
        assert_eq!(price("0/0"), Some(ModelPrice { input: 0, output: 0 }), "a model of one's own");
        for odd in ["0.15", "0.15/", "a/b", "-1/2", "1/2/3", "NaN/1", "1/inf", "$1/$2", "1e9/1"] {
            assert_eq!(price(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_misspelt_switch_is_refused() {
        let mut values = complete();
        values.insert("HUNTAZE_SIGN_UP", "opne".to_owned());
        assert!(Settings::from_values(&values).is_err());
        let mut values = complete();
        for trip in ["fast", "5", "100000"] {
            values.insert("HUNTAZE_REDIS_TRIP_MS", trip.to_owned());
            assert!(Settings::from_values(&values).is_err(), "{trip}");
        }
    }
}
