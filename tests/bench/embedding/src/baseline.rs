//! No SDK: posts one JSON document with an id, with ureq and rustls.

use std::{error::Error, sync::Arc};

use rustls::crypto::ring;
use serde_json::json;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig, TlsProvider},
};
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::WebPki)
        .build();
    let agent = Agent::new_with_config(Agent::config_builder().tls_config(tls).build());
    let body = serde_json::to_vec(&json!({ "event_id": Uuid::new_v4(), "model": "hello" }))?;
    let response = agent
        .post("http://127.0.0.1:9/v1/events")
        .header("content-type", "application/json")
        .send(&body[..])?;
    println!("{}", response.status());
    Ok(())
}
