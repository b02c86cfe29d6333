//! The published weights that can be fetched.
//!
//! Sizes and SHA-256 of pinned files are those that several unconnected public projects pin for the same file; the
//! comment at each entry names some. On huggingface.co a file's SHA-256 is also its LFS object id, shown on its page.
//! A file for which no published SHA-256 was found carries none, and is not fetched unless the person names one.

/// What weights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Foreground mattes: `[segmenter] path` in `study.toml`, `--segmenter`.
    Segmenter,
    /// Regions that a person points at: `[segmenter] click`, `--segmenter` with points.
    Click,
    /// Vectors for the map and the shortlist: `[embedder] path`.
    Embedder,
}

impl Use {
    /// For a list.
    pub fn words(self) -> &'static str {
        match self {
            Self::Segmenter => "segmenter",
            Self::Click => "segmenter by clicks",
            Self::Embedder => "embedder",
        }
    }

    /// The line of `study.toml` that names these weights.
    pub fn study_line(self, name: &str) -> String {
        match self {
            Self::Segmenter => format!("[segmenter]\npath = \"{name}\""),
            Self::Click => format!("[segmenter]\nclick = \"{name}\""),
            Self::Embedder => format!("[embedder]\npath = \"{name}\""),
        }
    }
}

/// One file of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in the model's folder: one part, no separators.
    pub name: &'static str,
    /// Where it is published.
    pub url: &'static str,
    /// Its size, where it is known.
    pub bytes: Option<u64>,
    /// Its SHA-256 in lower-case hexadecimal, where one is known.
    pub sha256: Option<&'static str>,
}

/// Weights with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name on the command line and in `study.toml`.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What it is for.
    pub purpose: Use,
    /// What to expect of it, in a few words.
    pub note: &'static str,
    /// Licence of the weights, as their authors state it.
    pub licence: &'static str,
    /// The authors' page.
    pub source: &'static str,
    /// The files; a model with one is opened by the file, one with several by its folder.
    pub files: &'static [File],
    /// Name of the same repository in the Hugging Face cache, `models--OWNER--NAME`, where there is one.
    pub hub: Option<&'static str>,
}

impl Model {
    /// Size of all files, when all are known.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// Whether the SHA-256 of every file is known.
    pub fn pinned(&self) -> bool {
        self.files.iter().all(|f| f.sha256.is_some())
    }

    /// The size in words.
    pub fn size(&self) -> String {
        match self.bytes() {
            Some(bytes) => megabytes(bytes),
            None => "size not known".to_owned(),
        }
    }
}

/// `176.0 MB`, decimal as download pages have it.
pub fn megabytes(bytes: u64) -> String {
    let million = bytes as f64 / 1e6;
    if million < 1000.0 {
        format!("{million:.1} MB")
    } else {
        format!("{:.2} GB", million / 1e3)
    }
}

/// The model with this name.
pub fn model(name: &str) -> Option<&'static Model> {
    CATALOG.iter().find(|m| m.name == name)
}

/// All of them.
pub const CATALOG: &[Model] = &[
    // Pinned alike by T8RIN/ImageToolbox, PlaScan, CyberTimon/RapidRAW-Models and others.
    Model {
        name: "u2net",
        title: "U²-Net",
        purpose: Use::Segmenter,
        note: "salient objects of photographs at 320²; the reference's choice",
        licence: "Apache-2.0",
        source: "https://github.com/xuebinqin/U-2-Net",
        files: &[File {
            name: "u2net.onnx",
            url: "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net.onnx",
            bytes: Some(175_997_641),
            sha256: Some("8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491"),
        }],
        hub: None,
    },
    // The same bytes as BritishWerewolf/U-2-Netp, `onnx/model.onnx`, on huggingface.co.
    Model {
        name: "u2netp",
        title: "U²-Net-P",
        purpose: Use::Segmenter,
        note: "the small U²-Net: a fifth of a second a picture, rougher edges",
        licence: "Apache-2.0",
        source: "https://github.com/xuebinqin/U-2-Net",
        files: &[File {
            name: "u2netp.onnx",
            url: "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx",
            bytes: Some(4_574_861),
            sha256: Some("309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"),
        }],
        hub: None,
    },
    // The same bytes as jellybox/isnet-general-use, `isnet-general-use_1024.onnx`, on huggingface.co.
    Model {
        name: "isnet",
        title: "IS-Net (general use)",
        purpose: Use::Segmenter,
        note: "fine edges at 1024²; several seconds a picture without a graphics processor",
        licence: "Apache-2.0",
        source: "https://github.com/xuebinqin/DIS",
        files: &[File {
            name: "isnet-general-use.onnx",
            url: "https://github.com/danielgatis/rembg/releases/download/v0.0.0/isnet-general-use.onnx",
            bytes: Some(178_648_008),
            sha256: Some("60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a"),
        }],
        hub: None,
    },
    // Revision e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4; the same bytes as Comfy-Org/BiRefNet.
    Model {
        name: "birefnet",
        title: "BiRefNet (general)",
        purpose: Use::Segmenter,
        note: "the paper's segmenter, Swin-L at 1024²; about a minute a picture on two cores",
        licence: "MIT",
        source: "https://huggingface.co/ZhengPeng7/BiRefNet",
        files: &[File {
            name: "model.safetensors",
            url: "https://huggingface.co/ZhengPeng7/BiRefNet/resolve/e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4/model.safetensors",
            bytes: Some(444_473_596),
            sha256: Some("9ab37426bf4de0567af6b5d21b16151357149139362e6e8992021b8ce356a154"),
        }],
        hub: Some("models--ZhengPeng7--BiRefNet"),
    },
    // Revision 7838f1c3472f827cd8ce13ab5ccc2ce48077360f and later ones.
    Model {
        name: "birefnet-lite",
        title: "BiRefNet (lite)",
        purpose: Use::Segmenter,
        note: "BiRefNet with Swin-T at 1024²",
        licence: "MIT",
        source: "https://huggingface.co/ZhengPeng7/BiRefNet_lite",
        files: &[File {
            name: "model.safetensors",
            url: "https://huggingface.co/ZhengPeng7/BiRefNet_lite/resolve/7838f1c3472f827cd8ce13ab5ccc2ce48077360f/model.safetensors",
            bytes: Some(177_634_392),
            sha256: Some("4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815"),
        }],
        hub: Some("models--ZhengPeng7--BiRefNet_lite"),
    },
    // From the authors' own repository at the commit that the pins name.
    Model {
        name: "mobilesam",
        title: "MobileSAM",
        purpose: Use::Click,
        note: "the object at a click",
        licence: "Apache-2.0",
        source: "https://github.com/ChaoningZhang/MobileSAM",
        files: &[File {
            name: "mobile_sam.pt",
            url: "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/mobile_sam.pt",
            bytes: Some(40_728_226),
            sha256: Some("6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"),
        }],
        hub: None,
    },
    // No published SHA-256 of the state dict was found (those of the TorchScript file do not fit it).
    Model {
        name: "sscd",
        title: "SSCD (disc_mixup, ResNet-50)",
        purpose: Use::Embedder,
        note: "copies of pictures, 512 values; Pizzi et al. 2022",
        licence: "MIT",
        source: "https://github.com/facebookresearch/sscd-copy-detection",
        files: &[File {
            name: "sscd_disc_mixup.torchvision.pt",
            url: "https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchvision.pt",
            bytes: None,
            sha256: None,
        }],
        hub: None,
    },
    Model {
        name: "dinov2",
        title: "DINOv2 (small)",
        purpose: Use::Embedder,
        note: "what pictures show, 384 values; Oquab et al. 2023",
        licence: "Apache-2.0",
        source: "https://huggingface.co/facebook/dinov2-small",
        files: &[
            File {
                name: "config.json",
                url: "https://huggingface.co/facebook/dinov2-small/resolve/ed25f3a31f01632728cabb09d1542f84ab7b0056/config.json",
                bytes: Some(547),
                sha256: Some("1809f83e3bdb1609a501a610ad4a742f4fd8ae44d72ca4aa0df52d1f2ac8628d"),
            },
            File {
                name: "model.safetensors",
                url: "https://huggingface.co/facebook/dinov2-small/resolve/ed25f3a31f01632728cabb09d1542f84ab7b0056/model.safetensors",
                bytes: Some(88_249_960),
                sha256: Some("ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1"),
            },
        ],
        hub: Some("models--facebook--dinov2-small"),
    },
    Model {
        name: "clip",
        title: "CLIP ViT-L/14",
        purpose: Use::Embedder,
        note: "what pictures mean, 768 values; Radford et al. 2021",
        licence: "MIT (code; the authors name no other for the weights)",
        source: "https://huggingface.co/openai/clip-vit-large-patch14",
        files: &[
            File {
                name: "config.json",
                url: "https://huggingface.co/openai/clip-vit-large-patch14/resolve/32bd64288804d66eefd0ccbe215aa642df71cc41/config.json",
                bytes: Some(4519),
                sha256: Some("8a09b467700c58138c29d53c605b34ebc69beaadd13274a8a2af8ad2c2f4032a"),
            },
            File {
                name: "model.safetensors",
                url: "https://huggingface.co/openai/clip-vit-large-patch14/resolve/32bd64288804d66eefd0ccbe215aa642df71cc41/model.safetensors",
                bytes: Some(1_710_540_580),
                sha256: Some("a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb"),
            },
        ],
        hub: Some("models--openai--clip-vit-large-patch14"),
    },
];
