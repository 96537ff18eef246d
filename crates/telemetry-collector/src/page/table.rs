//! A table as CSV and as JSON.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

/// Rows of exact values, each with one for every column.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Value>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing in CSV, `null` in JSON.
    Empty,
    Text(String),
    /// Items with a blank between them in CSV.
    List(Vec<String>),
    Flag(bool),
    Number(u128),
    Decimal(f64),
}

impl Table {
    /// CSV as defined by RFC 4180, with a header.
    ///
    /// Text that a spreadsheet would take for a formula has an apostrophe in front of it.
    pub(super) fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Value::cell))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn number(number: impl Into<u128>) -> Self {
        Self::Number(number.into())
    }

    fn cell(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => harmless(text.clone()),
            Self::List(items) => harmless(items.join(" ")),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
        }
    }
}

/// The characters at the start are those that OWASP lists for CSV injection.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text }
}

/// Serializes as an array of objects.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in &self.rows {
            rows.serialize_element(&Row(&self.columns, row))?;
        }
        rows.end()
    }
}

struct Row<'t>(&'t [&'static str], &'t [Value]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(columns, values) = self;
        let mut map = serializer.serialize_map(Some(values.len()))?;
        for (column, value) in columns.iter().zip(*values) {
            map.serialize_entry(column, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_u128(*number),
            Self::Decimal(number) => serializer.serialize_f64(*number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |text: &str, value| vec![Value::text(text), value];
        Table {
            columns: vec!["model", "value"],
            rows: vec![
                row("<script>alert(1)</script>", Value::Number(u128::from(u64::MAX) * 2)),
                row("a,\"b\"\r\nc", Value::Empty),
                row("=1+1", Value::Decimal(0.5)),
                row("@x", Value::List(vec!["-a".into(), "b".into()])),
                row("plain -1", Value::Flag(true)),
            ],
        }
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formulas() {
        let csv = String::from_utf8(table().csv().unwrap()).unwrap();
        let expected = [
            "model,value",
            "<script>alert(1)</script>,36893488147419103230",
            "\"a,\"\"b\"\"\r\nc\",",
            "'=1+1,0.5",
            "'@x,'-a b",
            "plain -1,true",
            "",
        ];
        assert_eq!(csv, expected.join("\r\n"));
    }

    #[test]
    fn json_has_exact_values() {
        let json = serde_json::to_string(&table()).unwrap();
        assert_eq!(
            json,
            r#"[{"model":"<script>alert(1)</script>","value":36893488147419103230},{"model":"a,\"b\"\r\nc","value":null},{"model":"=1+1","value":0.5},{"model":"@x","value":["-a","b"]},{"model":"plain -1","value":true}]"#
        );
    }
}
