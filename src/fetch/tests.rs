//! Against a stand-in on the loopback interface.

use super::{
    stand_in::{Manner, StandIn},
    *,
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// More than a few pieces, and no multiple of one.
const BYTES: usize = 1_300_003;

fn body() -> Vec<u8> {
    (0..BYTES as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn hash(bytes: &[u8]) -> &'static str {
    Box::leak(hex::encode(Sha256::digest(bytes)).into_boxed_str())
}

/// A model of one file that the stand-in has.
fn one(server: &StandIn, bytes: Option<u64>, sha256: Option<&'static str>) -> Model {
    let url = Box::leak(format!("{}/weights.bin", server.address).into_boxed_str());
    let file = File {
        name: "weights.bin",
        url,
        bytes,
        sha256,
    };
    Model {
        name: "stand-in",
        title: "Stand-in",
        files: Box::leak(Box::new([file])),
        ..CATALOG[0]
    }
}

fn order(model: &Model, folder: &Path) -> Order {
    Order {
        patience: Duration::from_secs(2),
        pause: Duration::from_millis(1),
        ..Order::new(model, folder.to_owned())
    }
}

fn get(order: &Order) -> Result<Done, crate::study::Problem> {
    fetch(order, &|| false, &mut |_| {})
}

fn left(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn whole(folder: &Path) {
    assert!(fs::read(folder.join("weights.bin")).unwrap() == body());
    assert_eq!(left(folder), ["weights.bin"]);
}

fn ranges(server: &StandIn) -> Vec<Option<String>> {
    server
        .requests
        .lock()
        .unwrap()
        .iter()
        .map(|r| r.1.clone())
        .collect()
}

#[test]
fn the_catalogue_is_consistent() {
    let mut names = HashSet::new();
    for model in CATALOG {
        assert!(names.insert(model.name), "{} twice", model.name);
        assert!(
            model
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        assert!(model.source.starts_with("https://") && !model.licence.is_empty());
        for file in model.files {
            assert!(file.url.starts_with("https://"), "{}", file.url);
            assert!(file.url.ends_with(file.name), "{}", file.url);
            assert!(!file.name.contains(['/', '\\']) && !file.name.starts_with('.'));
            assert_eq!(file.sha256.is_some(), file.bytes.is_some(), "{}", file.url);
            if let Some(sha256) = file.sha256 {
                assert!(is_sha256(sha256) && sha256 == sha256.to_lowercase());
            }
            // What is pinned must not move: a branch name in an address could.
            assert!(
                !file.url.contains("/main/") && !file.url.contains("/master/"),
                "{}",
                file.url
            );
        }
    }
    for name in [
        "u2net",
        "u2netp",
        "isnet",
        "birefnet",
        "mobilesam",
        "sscd",
        "dinov2",
        "clip",
    ] {
        assert!(model(name).is_some(), "{name}");
    }
}

#[test]
fn a_file_comes_whole_and_is_not_fetched_twice() {
    let server = StandIn::start(body(), "a", vec![Manner::Well]);
    let folder = tempfile::tempdir().unwrap();
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let target = folder.path().join("weights.bin");
    let mut seen = Vec::new();
    let done = fetch(&order(&model, folder.path()), &|| false, &mut |p| seen.push(p)).unwrap();
    assert_eq!(done, Done::Fetched(target.clone()));
    assert!(seen.windows(2).all(|w| w[0].done < w[1].done));
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (BYTES as u64, Some(BYTES as u64)));
    whole(folder.path());
    assert_eq!(
        get(&order(&model, folder.path())).unwrap(),
        Done::There(target.clone())
    );
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    // Somebody else's file is neither used nor overwritten.
    fs::write(&target, "mine").unwrap();
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.headline.contains("another file"), "{problem}");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn a_cut_connection_is_taken_up_where_it_ended() {
    let manners = vec![Manner::Cut(300_000), Manner::Cut(500_000), Manner::Well];
    let server = StandIn::start(body(), "a", manners);
    let folder = tempfile::tempdir().unwrap();
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    get(&order(&model, folder.path())).unwrap();
    whole(folder.path());
    let asked = server.requests.lock().unwrap().clone();
    let ranges: Vec<_> = asked.iter().map(|r| r.1.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-"), Some("bytes=800000-")]);
    assert_eq!(asked[1].2.as_deref(), Some("\"a\""));
}

#[test]
fn a_later_session_goes_on_and_one_that_was_changed_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let first = StandIn::start(body(), "a", vec![Manner::Cut(400_000), Manner::Status(503)]);
    let model = one(&first, Some(BYTES as u64), Some(hash(&body())));
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.headline.contains("connection was lost"), "{problem}");
    assert!(problem.details.iter().any(|d| d.contains("503")), "{problem}");
    assert_eq!(left(folder.path()), ["weights.bin.part", "weights.bin.part.json"]);
    assert_eq!(
        fs::metadata(folder.path().join("weights.bin.part"))
            .unwrap()
            .len(),
        400_000
    );

    // The same address, by hand: the note names the old one.
    let note = folder.path().join("weights.bin.part.json");
    let text = fs::read_to_string(&note).unwrap();
    let second = StandIn::start(body(), "b", vec![Manner::Well]);
    fs::write(&note, text.replace(&first.address, &second.address)).unwrap();
    let model = one(&second, Some(BYTES as u64), Some(hash(&body())));
    get(&order(&model, folder.path())).unwrap();
    whole(folder.path());
    // Asked to go on if the tag is still that of the beginning; it was not, and the whole came.
    let asked = second.requests.lock().unwrap().clone();
    assert_eq!(
        (asked[0].1.as_deref(), asked[0].2.as_deref()),
        (Some("bytes=400000-"), Some("\"a\""))
    );
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_server_without_ranges_serves_the_whole_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::start(body(), "a", vec![Manner::Cut(400_000), Manner::Plainly]);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let mut most = 0;
    fetch(&order(&model, folder.path()), &|| false, &mut |p| {
        most = most.max(p.done)
    })
    .unwrap();
    whole(folder.path());
    assert_eq!(most, BYTES as u64);
}

#[test]
fn another_hash_or_size_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut changed = body();
    changed[BYTES / 2] ^= 1;
    let server = StandIn::start(changed.clone(), "a", vec![Manner::Well]);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.to_string().contains(hash(&changed)), "{problem}");
    assert!(problem.to_string().contains(hash(&body())), "{problem}");
    assert_eq!(left(folder.path()), [""; 0]);

    let model = one(&server, Some(BYTES as u64 + 1), Some(hash(&body())));
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.headline.contains("another size"), "{problem}");
    assert!(!folder.path().join("weights.bin").exists());
}

#[test]
fn a_server_that_says_more_than_it_has_does_not_end_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::start(body(), "a", vec![Manner::Boasts(BYTES as u64 + 5)]);
    let model = one(&server, None, None);
    let order = Order {
        sha256: Some(hash(&body()).to_uppercase()),
        ..order(&model, folder.path())
    };
    // Every attempt gets the whole and is cut five bytes before the claimed end; a resumed one is asked past the end.
    let problem = get(&order).unwrap_err();
    assert!(problem.headline.contains("connection was lost"), "{problem}");
    assert!(!folder.path().join("weights.bin").exists());
}

#[test]
fn refusals_are_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    for (status, words) in [
        (404, "not there any more"),
        (403, "does not give"),
        (418, "not understood"),
    ] {
        let server = StandIn::start(body(), "a", vec![Manner::Status(status)]);
        let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
        let problem = get(&order(&model, folder.path())).unwrap_err();
        assert!(problem.headline.contains(words), "{problem}");
        assert!(problem.to_string().contains(&status.to_string()), "{problem}");
        assert_eq!(server.requests.lock().unwrap().len(), 1);
    }
}

#[test]
fn redirects_are_followed_with_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let manners = vec![
        Manner::Elsewhere("/elsewhere.bin"),
        Manner::Cut(200_000),
        Manner::Elsewhere("/elsewhere.bin"),
        Manner::Well,
    ];
    let server = StandIn::start(body(), "a", manners);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    get(&order(&model, folder.path())).unwrap();
    whole(folder.path());
    let asked = server.requests.lock().unwrap().clone();
    assert_eq!(asked[3].0, "/elsewhere.bin");
    assert_eq!(asked[3].1.as_deref(), Some("bytes=200000-"));
    // Without an end.
    let server = StandIn::start(body(), "a", vec![Manner::Elsewhere("/again")]);
    let model = one(&server, Some(1), Some(hash(&body())));
    let folder = tempfile::tempdir().unwrap();
    assert!(get(&order(&model, folder.path())).is_err());
    assert!(server.requests.lock().unwrap().len() < 100);
}

#[test]
fn a_stop_acts_at_once_and_keeps_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let manners = vec![Manner::Slowly(400_000, Duration::from_secs(5)), Manner::Well];
    let server = StandIn::start(body(), "a", manners);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let slow = Order {
        patience: Duration::from_secs(60),
        ..order(&model, folder.path())
    };
    let getting = Getting::start(slow, || {});
    let begun = Instant::now();
    while !matches!(getting.state(), State::Going(p) if p.done >= 400_000) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", getting.state());
        std::thread::sleep(Duration::from_millis(5));
    }
    // A second process or click is refused meanwhile.
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.headline.contains("Another process"), "{problem}");
    let asked = Instant::now();
    getting.stop();
    while !matches!(getting.state(), State::Ended(_)) {
        assert!(asked.elapsed() < Duration::from_secs(2), "the stop did not act");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(getting.state(), State::Ended(Ok(Done::Stopped)));
    let part = folder.path().join("weights.bin.part");
    assert_eq!(fs::metadata(&part).unwrap().len(), 400_000);
    get(&order(&model, folder.path())).unwrap();
    whole(folder.path());
    assert_eq!(ranges(&server), [None, Some("bytes=400000-".to_owned())]);
}

#[test]
fn a_silent_server_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::start(body(), "a", vec![Manner::Silent, Manner::Well]);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let impatient = Order {
        patience: Duration::from_millis(300),
        ..order(&model, folder.path())
    };
    get(&impatient).unwrap();
    whole(folder.path());
}

#[test]
fn weights_without_a_known_hash_need_one_from_the_person() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandIn::start(body(), "a", vec![Manner::Well]);
    let model = one(&server, None, None);
    let problem = get(&order(&model, folder.path())).unwrap_err();
    assert!(problem.advice.contains("--sha256"), "{problem}");
    assert_eq!(server.requests.lock().unwrap().len(), 0);
    let with = |hash: &str| Order {
        sha256: Some(hash.to_owned()),
        ..order(&model, folder.path())
    };
    assert!(get(&with("12ab")).unwrap_err().headline.contains("no SHA-256"));
    assert!(get(&with(hash(b"other"))).is_err());
    get(&with(&hash(&body()).to_uppercase())).unwrap();
    whole(folder.path());
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let server = StandIn::start(body(), "a", vec![Manner::Well]);
    let model = one(&server, Some(BYTES as u64), Some(hash(&body())));
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "").unwrap();
    let problem = get(&order(&model, &temp.path().join("file/folder"))).unwrap_err();
    assert!(problem.headline.contains("folder for weights"), "{problem}");
    assert_eq!(server.requests.lock().unwrap().len(), 0);
}

/// An empty file of a size, without taking its room.
fn plant(path: PathBuf, bytes: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(&path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn weights_of_other_programs_are_found() {
    let home = tempfile::tempdir().unwrap();
    let (data, none) = (home.path().join("data"), |_: &str| None);
    let places = Places::from(Some(data.clone()), Some(home.path().to_owned()), none);
    let place = |name: &str| places.find(model(name).unwrap());
    assert_eq!(place("u2net"), None);

    plant(home.path().join(".u2net/u2net.onnx"), 175_997_641);
    // Torn: another size.
    plant(home.path().join(".u2net/u2netp.onnx"), 100);
    assert_eq!(place("u2net").unwrap().place, "rembg's folder");
    assert_eq!(place("u2netp"), None);

    let snapshot = home
        .path()
        .join(".cache/huggingface/hub/models--facebook--dinov2-small/snapshots/ed25");
    plant(snapshot.join("model.safetensors"), 88_249_960);
    assert_eq!(place("dinov2"), None, "without its configuration");
    plant(snapshot.join("config.json"), 547);
    let found = place("dinov2").unwrap();
    assert_eq!((&found.path, found.place), (&snapshot, "the Hugging Face cache"));

    plant(
        home.path()
            .join(".cache/torch/hub/checkpoints/sscd_disc_mixup.torchvision.pt"),
        7,
    );
    assert_eq!(place("sscd").unwrap().place, "torch's cache");

    plant(data.join("weights/u2net/u2net.onnx"), 175_997_641);
    let found = place("u2net").unwrap();
    assert_eq!(
        (found.path, found.place),
        (data.join("weights/u2net/u2net.onnx"), "fetched")
    );

    // Names stand for them, paths that exist for themselves.
    assert_eq!(places.resolve(Path::new("dinov2")), snapshot);
    assert_eq!(places.resolve(Path::new("isnet")), Path::new("isnet"));
    assert_eq!(places.resolve(home.path()), home.path());
    plant(home.path().join("study/u2net/u2net.onnx"), 3);
    let own = home.path().join("study/u2net");
    assert_eq!(places.resolve(&own), own);

    let variables = |name: &str| match name {
        "HF_HOME" => Some(PathBuf::from("/hf")),
        "U2NET_HOME" => Some(PathBuf::from("/u2")),
        "TORCH_HOME" => Some(PathBuf::from("")),
        _ => None,
    };
    let places = Places::from(None, Some("/home/me".into()), variables);
    assert_eq!(places.hub.unwrap(), Path::new("/hf/hub"));
    assert_eq!(places.rembg.unwrap(), Path::new("/u2"));
    assert_eq!(
        places.torch.unwrap(),
        Path::new("/home/me/.cache/torch/hub/checkpoints")
    );
    assert_eq!(places.own, None);
}
