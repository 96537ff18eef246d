//! Creation and migration of the schema.

use super::{connection::Connection, error::Error};

/// The statements that lead from each version to the next. A store has the version of the last one.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// The names of tables in statements are those of the schema.
pub(super) const SEARCH_PATH: &str = "SET search_path = telemetry_collector, pg_temp";

/// Key of the lock under which a schema is migrated: `mtel` and a number.
const LOCK: &str = "SELECT pg_advisory_xact_lock(x'6d74656c00000001'::bigint)";

/// Creates the schema if there is none, and applies the migrations that it lacks, in one transaction.
///
/// Collectors that start together wait for each other.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Error> {
    connection.transaction("BEGIN", |connection| {
        connection.batch(LOCK)?;
        let found = version(connection)?;
        known(found, migrations.len())?;
        if found.is_none() {
            create(connection)?;
        }
        connection.batch(&SEARCH_PATH.replace("SET", "SET LOCAL"))?;
        let found = found.unwrap_or_default();
        for (version, statements) in (1..).zip(migrations).skip(found as usize) {
            connection.batch(statements)?;
            connection.batch(&format!("UPDATE version SET version = {version}"))?;
        }
        Ok(())
    })
}

/// Refuses a schema of a newer version, or none.
pub(super) fn check(connection: &mut Connection) -> Result<(), Error> {
    let found = version(connection)?;
    known(found, MIGRATIONS.len())?;
    match found {
        Some(_) => Ok(()),
        None => Err(Error::Damaged("it has been removed")),
    }
}

fn known(found: Option<i64>, known: usize) -> Result<(), Error> {
    match found {
        Some(found) if found > known as i64 => Err(Error::Refused(format!(
            "the schema telemetry_collector has version {found}, and this program knows versions up to \
             {known}: use a newer program"
        ))),
        _ => Ok(()),
    }
}

/// The version of the schema. `None` without a schema, or if it is empty.
fn version(connection: &mut Connection) -> Result<Option<i64>, Error> {
    let sql = "SELECT to_regclass('telemetry_collector.version') IS NOT NULL, \
               EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('telemetry_collector'))";
    let found = connection.query(sql, &[])?;
    let found = found.first().ok_or(Error::Damaged("no row"))?;
    if found.try_get(0)? {
        let rows = connection.query("SELECT version FROM telemetry_collector.version", &[])?;
        let row = rows.first().ok_or(Error::Damaged("it has no version"))?;
        return Ok(Some(row.try_get(0)?));
    }
    if found.try_get(1)? {
        return Err(Error::Refused(
            "the schema telemetry_collector belongs to another application: name another database"
                .into(),
        ));
    }
    Ok(None)
}

/// Creates the schema, unless an administrator has created an empty one.
fn create(connection: &mut Connection) -> Result<(), Error> {
    let sql = "SELECT 1 WHERE to_regnamespace('telemetry_collector') IS NOT NULL";
    if connection.query(sql, &[])?.is_empty() {
        connection.batch("CREATE SCHEMA telemetry_collector")?;
    }
    connection.batch(
        "CREATE TABLE telemetry_collector.version (version bigint NOT NULL); \
         INSERT INTO telemetry_collector.version VALUES (0)",
    )
}
