//! Prompts seen through the size of the text-conditional noise (Wen et al., “Detecting, Explaining, and Mitigating
//! Memorization in Diffusion Models”, ICLR 2024): embeddings that make it smaller ([`optimise`]), the tokens that make
//! it large ([`significance`]), and the cheap ways to disturb a prompt ([`insert`]).

mod adamw;
mod insertion;
mod noise_norm;
mod optimisation;
mod significance;

pub use insertion::{Insertion, insert};
pub use optimisation::{Optimised, PromptSettings, optimise};
pub use significance::{TokenScore, gradient, significance};
