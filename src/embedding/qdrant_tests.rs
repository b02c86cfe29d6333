//! Against a stand-in on loopback that speaks Qdrant's REST protocol: it checks what it gets and answers in the
//! server's own form.

use super::*;
use crate::embedding::vectors::{dot, unit};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const KEY: &str = "secret";

#[derive(Default)]
struct Collection {
    size: usize,
    points: BTreeMap<u64, Vec<f32>>,
}

#[derive(Default)]
struct Server {
    collections: Mutex<BTreeMap<String, Collection>>,
}

impl Server {
    fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self::default());
        let shared = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                thread::spawn(move || server.talk(&stream));
            }
        });
        (server, url)
    }

    fn talk(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let mut words = line.split_whitespace();
            let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let (mut length, mut key) = (0, String::new());
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let Some((name, value)) = header.trim().split_once(':') else {
                    break;
                };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap(),
                    "api-key" => key = value.trim().to_owned(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (status, answer) = if key == KEY {
                self.answer(&method, &target, &body)
            } else {
                ("403 Forbidden", Err("Invalid API key or JWT".to_owned()))
            };
            let answer = match answer {
                Ok(result) => json!({"result": result, "status": "ok", "time": 0.001}),
                Err(error) => json!({"status": {"error": error}, "time": 0.0}),
            };
            let text = answer.to_string();
            let mut stream = stream;
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            stream.write_all((head + &text).as_bytes()).unwrap();
        }
    }

    fn answer(&self, method: &str, target: &str, body: &Value) -> (&'static str, Result<Value, String>) {
        let mut all = self.collections.lock().unwrap();
        let rest = target.strip_prefix("/collections/").unwrap();
        let (name, part) = rest.split_once('/').unwrap_or((rest, ""));
        if (method, part) == ("PUT", "") {
            assert_eq!(body["vectors"]["distance"], "Cosine");
            let size = body["vectors"]["size"].as_u64().unwrap() as usize;
            all.insert(
                name.to_owned(),
                Collection {
                    size,
                    points: BTreeMap::new(),
                },
            );
            return ("200 OK", Ok(json!(true)));
        }
        let Some(collection) = all.get_mut(name) else {
            let error = format!("Not found: Collection `{name}` doesn't exist!");
            return ("404 Not Found", Err(error));
        };
        let vector = |v: &Value| -> Vec<f32> {
            v.as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap() as f32)
                .collect()
        };
        match (method, part) {
            ("GET", "") => {
                let params = json!({"vectors": {"size": collection.size, "distance": "Cosine"}});
                (
                    "200 OK",
                    Ok(json!({"status": "green", "config": {"params": params}})),
                )
            }
            ("PUT", "points?wait=true") => {
                for point in body["points"].as_array().unwrap() {
                    let values = vector(&point["vector"]);
                    if values.len() != collection.size {
                        let error = "Wrong input: Vector dimension error".to_owned();
                        return ("400 Bad Request", Err(error));
                    }
                    collection
                        .points
                        .insert(point["id"].as_u64().unwrap(), unit(values).unwrap());
                }
                ("200 OK", Ok(json!({"operation_id": 1, "status": "completed"})))
            }
            ("POST", "points/count") => ("200 OK", Ok(json!({"count": collection.points.len()}))),
            ("POST", "points/query") => {
                let query = unit(vector(&body["query"])).unwrap();
                let mut scored: Vec<(u64, f32)> = collection
                    .points
                    .iter()
                    .map(|(id, v)| (*id, dot(v, &query)))
                    .collect();
                scored.sort_by(|a, b| b.1.total_cmp(&a.1));
                scored.truncate(body["limit"].as_u64().unwrap() as usize);
                let points: Vec<Value> = scored
                    .iter()
                    .map(|(id, score)| json!({"id": id, "version": 1, "score": score}))
                    .collect();
                ("200 OK", Ok(json!({"points": points})))
            }
            other => panic!("not a request of Qdrant's: {other:?}"),
        }
    }
}

fn settings(url: &str) -> QdrantSettings {
    QdrantSettings {
        url: format!("{url}/"),
        key: Some(KEY.into()),
    }
}

fn vectors(count: usize, dim: usize) -> Vectors {
    let mut all = Vectors::new(dim);
    for i in 0..count {
        let value = |k: usize| ((i * 37 + k * 101 + i * k) % 97) as f32 - 48.0;
        all.push(&unit((0..dim).map(value).collect()).unwrap());
    }
    all
}

#[test]
fn vectors_are_stored_once_and_found_as_here() {
    let (server, url) = Server::start();
    let all = vectors(600, 24);
    let qdrant = Qdrant::open(&settings(&url), "pentimento-abc", 24).unwrap();
    assert!(qdrant.store(&all, &|| false).unwrap());
    assert_eq!(qdrant.count().unwrap(), 600);
    // Opened again, it is the same collection.
    let again = Qdrant::open(&settings(&url), "pentimento-abc", 24).unwrap();
    assert_eq!(again.count().unwrap(), 600);
    for i in [0, 255, 256, 599] {
        let found = again.nearest(all.get(i).unwrap(), 7).unwrap();
        let here = all.nearest(all.get(i).unwrap(), 7);
        for (a, b) in found.iter().zip(&here) {
            assert!((a.1 - b.1).abs() < 1e-5);
        }
        assert_eq!(found[0].0, here[0].0);
    }
    assert!(!qdrant.store(&all, &|| true).unwrap());
    assert_eq!(server.collections.lock().unwrap().len(), 1);
}

#[test]
fn refusals_are_told_in_the_servers_words() {
    let (_server, url) = Server::start();
    let told = |r: Result<Qdrant, EmbeddingError>| r.err().unwrap().to_string();
    let wrong_key = QdrantSettings {
        key: Some("other".into()),
        ..settings(&url)
    };
    assert!(told(Qdrant::open(&wrong_key, "c", 8)).contains("Invalid API key"));
    Qdrant::open(&settings(&url), "c", 8).unwrap();
    assert!(told(Qdrant::open(&settings(&url), "c", 9)).contains("not cosine vectors of 9 values"));
    assert!(told(Qdrant::open(&settings(&url), "../x", 8)).contains("cannot name a collection"));
    let far = |url: &str| QdrantSettings {
        url: url.into(),
        key: Some(KEY.into()),
    };
    assert!(told(Qdrant::open(&far("http://example.org:6333"), "c", 8)).contains("unencrypted"));
    assert!(told(Qdrant::open(&far("ftp://x"), "c", 8)).contains("http://"));
    assert!(
        told(Qdrant::open(&far("http://127.0.0.1@evil.org"), "c", 8)).contains("names no host, or a user")
    );
    // Nobody listens there.
    assert!(told(Qdrant::open(&far("http://127.0.0.1:9"), "c", 8)).contains("Qdrant"));
}
