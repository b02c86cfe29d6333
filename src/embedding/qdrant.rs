//! The shortlist's vectors in a running Qdrant (feature `qdrant`), for galleries beyond one machine's memory.
//!
//! Plain REST (`PUT /collections/NAME`, `PUT …/points`, `POST …/points/query`): one small HTTP client in place of a
//! gRPC stack. Nothing is sent unless the user names a server in `PENTIMENTO_QDRANT_URL`; what is sent are embeddings
//! and their numbers, no pictures, names or captions.

use super::{EmbeddingError, Vectors};
use serde_json::{Value, json};
use std::time::Duration;
use ureq::{Agent, Body, http::Response};

/// Names the server.
pub const URL_VARIABLE: &str = "PENTIMENTO_QDRANT_URL";
/// Holds the server's key.
pub const KEY_VARIABLE: &str = "PENTIMENTO_QDRANT_KEY";
/// Vectors per request.
const BATCH: usize = 256;
const MOST_ANSWER: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server is.
#[derive(Clone)]
pub struct QdrantSettings {
    /// `http://host:6333` or `https://…`.
    pub url: String,
    /// Sent as `api-key`; never over plain HTTP to another machine.
    pub key: Option<String>,
}

impl QdrantSettings {
    /// From the environment; `None` when no server is named.
    pub fn from_env() -> Option<Self> {
        let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        Some(Self {
            url: set(URL_VARIABLE)?,
            key: set(KEY_VARIABLE),
        })
    }
}

/// One collection of a server.
pub struct Qdrant {
    agent: Agent,
    collection: String,
    key: Option<String>,
    dim: usize,
}

fn failed(what: impl Into<String>) -> EmbeddingError {
    EmbeddingError::Shortlist(format!("Qdrant: {}", what.into()))
}

impl Qdrant {
    /// Opens the collection `name` (letters, digits, `-`, `_`) for unit vectors of `dim` values, made if need be.
    ///
    /// # Errors
    /// For an impossible address or name, when the server cannot be reached or refuses, or when the collection there is
    /// for other vectors.
    pub fn open(settings: &QdrantSettings, name: &str, dim: usize) -> Result<Self, EmbeddingError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 120 || !name.chars().all(plain) {
            return Err(failed(format!("{name:?} cannot name a collection")));
        }
        let url = settings.url.trim().trim_end_matches('/');
        let host = host(url)?;
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if settings.key.is_some() && url.starts_with("http://") && !here {
            return Err(failed(format!(
                "the key is not sent to {host} unencrypted; use https:// in {URL_VARIABLE}"
            )));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .build();
        let qdrant = Self {
            agent: config.into(),
            collection: format!("{url}/collections/{name}"),
            key: settings.key.clone(),
            dim,
        };
        match qdrant.get("")? {
            Some(about) => qdrant.check(&about)?,
            None => {
                qdrant.send(
                    "PUT",
                    "",
                    &json!({"vectors": {"size": dim, "distance": "Cosine"}}),
                )?;
            }
        }
        Ok(qdrant)
    }

    fn check(&self, about: &Value) -> Result<(), EmbeddingError> {
        let vectors = &about["config"]["params"]["vectors"];
        let fits = vectors["size"].as_u64() == Some(self.dim as u64) && vectors["distance"] == "Cosine";
        fits.then_some(()).ok_or_else(|| {
            failed(format!(
                "the collection holds {vectors}, not cosine vectors of {} values; delete it there or choose another server",
                self.dim
            ))
        })
    }

    /// Vectors in the collection.
    ///
    /// # Errors
    /// When the server does not answer, or not as expected.
    pub fn count(&self) -> Result<usize, EmbeddingError> {
        let answer = self.send("POST", "/points/count", &json!({"exact": true}))?;
        let count = answer["count"].as_u64();
        count
            .map(|n| n as usize)
            .ok_or_else(|| failed("its count is no number"))
    }

    /// Stores all vectors under their row numbers, in place of those with the same. `cancelled` is asked between
    /// batches; `false` once it said yes.
    ///
    /// # Errors
    /// When they have another length, or the server does not take them.
    pub fn store(
        &self,
        vectors: &Vectors,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EmbeddingError> {
        if vectors.dim() != self.dim {
            return Err(failed("the vectors have another length than the collection"));
        }
        let rows: Vec<(usize, &[f32])> = vectors.rows().enumerate().collect();
        for batch in rows.chunks(BATCH) {
            if cancelled() {
                return Ok(false);
            }
            let points: Vec<Value> = batch
                .iter()
                .map(|(id, vector)| json!({"id": id, "vector": vector}))
                .collect();
            self.send("PUT", "/points?wait=true", &json!({"points": points}))?;
        }
        Ok(true)
    }

    /// About the `count` nearest rows by cosine, best first.
    ///
    /// # Errors
    /// When the server does not answer, or not as expected.
    pub fn nearest(&self, query: &[f32], count: usize) -> Result<Vec<(u32, f32)>, EmbeddingError> {
        let body = json!({"query": query, "limit": count, "with_payload": false, "with_vector": false});
        let answer = self.send("POST", "/points/query", &body)?;
        let points = answer["points"]
            .as_array()
            .ok_or_else(|| failed("its answer holds no points"))?;
        points
            .iter()
            .map(|point| {
                let id = point["id"].as_u64().and_then(|id| u32::try_from(id).ok());
                let score = point["score"].as_f64().filter(|s| s.is_finite());
                id.zip(score)
                    .map(|(id, score)| (id, score as f32))
                    .ok_or_else(|| failed("a point of its answer has no number or score"))
            })
            .collect()
    }

    /// `None` for what does not exist.
    fn get(&self, part: &str) -> Result<Option<Value>, EmbeddingError> {
        let mut request = self.agent.get(format!("{}{part}", self.collection));
        if let Some(key) = &self.key {
            request = request.header("api-key", key);
        }
        let answer = request.call().map_err(|e| failed(e.to_string()))?;
        if answer.status() == 404 {
            return Ok(None);
        }
        read(answer).map(Some)
    }

    fn send(&self, method: &str, part: &str, body: &Value) -> Result<Value, EmbeddingError> {
        let url = format!("{}{part}", self.collection);
        let request = match method {
            "PUT" => self.agent.put(url),
            _ => self.agent.post(url),
        };
        let mut request = request.header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("api-key", key);
        }
        let answer = request.send(body.to_string());
        read(answer.map_err(|e| failed(e.to_string()))?)
    }
}

/// The host of an address, with the brackets of IPv6.
fn host(url: &str) -> Result<&str, EmbeddingError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or_else(|| failed(format!("{URL_VARIABLE} must begin with http:// or https://")))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let host = &authority[..end];
    if host.is_empty() || authority.contains('@') {
        return Err(failed(format!("{URL_VARIABLE} names no host, or a user")));
    }
    Ok(host)
}

/// The `result` of an answer; the server's own words when it refused.
fn read(mut answer: Response<Body>) -> Result<Value, EmbeddingError> {
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(MOST_ANSWER)
        .read_to_string();
    let text = text.map_err(|e| failed(e.to_string()))?;
    let mut value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() && value["status"] == "ok" {
        return Ok(value["result"].take());
    }
    let words = value["status"]["error"].as_str().unwrap_or(&text);
    Err(failed(format!(
        "{status}: {}",
        words.chars().take(300).collect::<String>()
    )))
}

#[cfg(test)]
#[path = "qdrant_tests.rs"]
mod tests;
