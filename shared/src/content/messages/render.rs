//! The templates of messages. Rendering puts a token in the place of every value, so that a model never sees one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::contract::messages::{Recipient, Scalar};

/// How many instructions of the engine a rendering may take: enough for a few conditions and a short list, too few
/// for a long loop.
const FUEL: u64 = 2_000;
/// The functions that the engine itself defines, which are no variables of the template.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];
/// The bracket before the number of a token. Neither bracket may stand in a template or a value.
pub(super) const OPEN: char = '\u{27e6}';
/// The bracket after the number of a token.
pub(super) const CLOSE: char = '\u{27e7}';

/// The mistake of a template that can be used for nobody, in a sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

/// A template whose syntax has been checked.
pub(super) struct Template {
    environment: Environment<'static>,
    source: String,
    /// The names of the variables that the template uses, sorted.
    pub(super) variables: Vec<String>,
    /// The values that the current rendering has put out, in their order; the engine's formatter fills it.
    output_values: Arc<Mutex<Vec<String>>>,
}

/// A message in which every value is a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MaskedText {
    /// The text, with the tokens `⟦1⟧`, `⟦2⟧` and so on in the places of the values.
    pub(super) text: String,
    /// The values, in the order of their tokens.
    pub(super) values: Vec<String>,
}

impl MaskedText {
    /// Puts the values into a text with the same tokens, such as a rewording of this one.
    pub(super) fn unmask(&self, text: &str) -> String {
        let mut whole = text.to_owned();
        for (i, value) in self.values.iter().enumerate() {
            whole = whole.replace(&token(i), value);
        }
        whole
    }
}

/// The token of the value at this index; tokens count from one.
pub(super) fn token(index: usize) -> String {
    format!("{OPEN}{}{CLOSE}", index + 1)
}

impl Template {
    /// Reads a template and checks its syntax.
    ///
    /// # Errors
    /// [`TemplateError`], with the line if the engine knows it.
    pub(super) fn read(source: &str) -> Result<Self, TemplateError> {
        if source.contains([OPEN, CLOSE]) {
            return Err(TemplateError(format!("must not contain {OPEN} or {CLOSE}")));
        }
        let output_values = Arc::<Mutex<Vec<String>>>::default();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(20);
        let values = Arc::clone(&output_values);
        environment.set_formatter(move |out, _, value| {
            if value.is_undefined() {
                return Err(Error::new(ErrorKind::UndefinedError, "a value is missing"));
            }
            let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
            values.push(value.to_string());
            out.write_str(&token(values.len() - 1)).map_err(|_| Error::from(ErrorKind::WriteFailure))
        });
        let mut variables: Vec<String> = {
            let template =
                environment.template_from_str(source).map_err(|error| TemplateError(explain(&error)))?;
            let names = template.undeclared_variables(false).into_iter();
            names.filter(|name| !FUNCTIONS.contains(&name.as_str())).collect()
        };
        variables.sort();
        Ok(Self { environment, source: source.to_owned(), variables, output_values })
    }

    /// Renders the message to a recipient.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the template or this recipient's values.
    pub(super) fn render(&self, recipient: &Recipient) -> Result<MaskedText, String> {
        let mut values: BTreeMap<String, Value> =
            recipient.vars.iter().map(|(name, scalar)| (name.clone(), value(scalar))).collect();
        if let Some(segment) = &recipient.segment {
            values.entry("segment".to_owned()).or_insert_with(|| Value::from(segment.to_string()));
        }
        if let Some(missing) = self.variables.iter().find(|name| !values.contains_key(*name)) {
            return Err(format!("the variable `{missing}` is missing"));
        }
        let has_bracket =
            |scalar: &Scalar| matches!(scalar, Scalar::Text(text) if text.contains([OPEN, CLOSE]));
        if let Some((name, _)) = recipient.vars.iter().find(|(_, scalar)| has_bracket(scalar)) {
            return Err(format!("the variable `{name}` must not contain {OPEN} or {CLOSE}"));
        }
        // An earlier rendering that failed in the middle may have left values.
        self.output_values().clear();
        let context = Value::from_object(values);
        let template = self.environment.template_from_str(&self.source).map_err(|error| explain(&error))?;
        let text = template.render(context).map_err(|error| explain(&error))?;
        Ok(MaskedText { text: text.trim().to_owned(), values: std::mem::take(&mut self.output_values()) })
    }

    fn output_values(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.output_values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Flag(flag) => Value::from(*flag),
        Scalar::Whole(whole) => Value::from(*whole),
        Scalar::Number(number) => Value::from(*number),
        Scalar::Text(text) => Value::from(text.to_string()),
    }
}

/// An error of the engine as a sentence for the author of the template, with the line if it is not the first.
fn explain(error: &Error) -> String {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "does too much: only short loops fit a message".to_owned(),
        ErrorKind::UndefinedError => {
            format!(
                "uses a value that the recipient does not have ({})",
                error.detail().unwrap_or("undefined")
            )
        }
        kind => format!("cannot be used: {}", error.detail().map_or_else(|| kind.to_string(), str::to_owned)),
    };
    match error.line() {
        Some(line) if line > 1 => format!("{what} (line {line})"),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recipient(vars: serde_json::Value) -> Recipient {
        serde_json::from_value(json!({"id": "fan_1", "vars": vars})).unwrap()
    }

    fn render(template: &str, vars: serde_json::Value) -> Result<MaskedText, String> {
        Template::read(template).map_err(|error| error.0)?.render(&recipient(vars))
    }

    #[test]
    fn every_value_becomes_a_token_and_comes_back() {
        let masked =
            render("Hi {{ name }}, {{ months }} months! Bye {{ name }}", json!({"name": "Ana", "months": 3}))
                .unwrap();
        assert_eq!(masked.text, "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months! Bye \u{27e6}3\u{27e7}");
        assert_eq!(masked.unmask(&masked.text), "Hi Ana, 3 months! Bye Ana");
        assert!(!masked.text.contains("Ana"));
    }

    #[test]
    fn conditions_see_the_values_themselves() {
        let template = "{% if months > 12 %}Old friend{% else %}Hi{% endif %} {{ name | upper }}";
        let old = render(template, json!({"name": "Ana", "months": 13})).unwrap();
        assert_eq!(old.unmask(&old.text), "Old friend ANA");
        assert!(render(template, json!({"name": "Ana", "months": 1})).unwrap().text.starts_with("Hi"));
    }

    #[test]
    fn a_value_is_text_and_never_template() {
        let masked = render("Hi {{ name }}", json!({"name": "{{ 7 * 7 }}"})).unwrap();
        assert_eq!(masked.unmask(&masked.text), "Hi {{ 7 * 7 }}");
        assert!(render("Hi {{ name }}", json!({"name": "\u{27e6}1\u{27e7}"})).is_err());
        assert!(Template::read("Hi \u{27e6}1\u{27e7}").is_err());
    }

    #[test]
    fn ten_values_do_not_take_each_others_place() {
        let template = (0..12).map(|i| format!("{{{{ v{i} }}}}")).collect::<Vec<_>>().join(" ");
        let vars: serde_json::Map<_, _> =
            (0..12).map(|i| (format!("v{i}"), json!(format!("<{i}>")))).collect();
        let masked = render(&template, vars.into()).unwrap();
        let expected: Vec<_> = (0..12).map(|i| format!("<{i}>")).collect();
        assert_eq!(masked.unmask(&masked.text), expected.join(" "));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = |template: &str, vars| render(template, vars).unwrap_err();
        assert_eq!(error("Hi {{ nam }}", json!({"name": "Ana"})), "the variable `nam` is missing");
        assert!(error("Hi\n{{ name", json!({})).contains("line 2"), "{}", error("Hi\n{{ name", json!({})));
        assert!(error("{% for i in range(9000) %}x{% endfor %}", json!({})).contains("too much"));
        assert!(error("{% include 'x' %}", json!({})).contains("cannot be used"));
        assert!(error("{{ name | nothing }}", json!({"name": "x"})).contains("cannot be used"));
    }
}
