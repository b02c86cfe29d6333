//! Training images made ready before they are chosen: the next one shows in the frame in which it is picked.

use super::state::State;
use crate::engine::{PairRequest, PairView, Partner, PartnersRequest};
use std::sync::Arc;

/// Most training images held ready beside one picture.
const MOST: usize = 8;

/// The training images beside one picture that are ready or asked for.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    asked: Option<PartnersRequest>,
    ready: Vec<Arc<Partner>>,
}

impl Ahead {
    /// A request went out: what belongs to another picture is dropped.
    pub fn asked(&mut self, request: PartnersRequest) {
        self.ready
            .retain(|p| p.generation == request.generation && p.variant == request.variant);
        self.asked = Some(request);
    }

    /// One arrived; kept when it is still of use.
    pub fn take(&mut self, partner: Arc<Partner>) {
        let wanted = self.asked.as_ref().is_some_and(|asked| {
            asked.generation == partner.generation
                && asked.variant == partner.variant
                && asked.gallery.contains(&partner.gallery)
        });
        if wanted {
            self.ready.retain(|p| p.gallery != partner.gallery);
            self.ready.push(partner);
        }
    }

    /// The wished pair put together from the one shown and a training image that is ready.
    pub fn pair(&self, wish: &PairRequest, shown: Option<&PairView>) -> Option<Arc<PairView>> {
        let of = &shown?.request;
        let same = of.generation == wish.generation && of.variant == wish.variant && wish.against.is_none();
        let partner = self.ready.iter().filter(|_| same).find(|p| {
            Some(p.gallery) == wish.gallery && p.generation == wish.generation && p.variant == wish.variant
        })?;
        Some(Arc::new(PairView {
            request: wish.clone(),
            training: Some(partner.training.clone()),
            similarity: partner.similarity.clone(),
            compared: Some(partner.compared.clone()),
            ..shown?.clone()
        }))
    }
}

impl State {
    /// The other training images of the picture on the Stage, once that is there and they were not asked for.
    /// `makes_maps`: the graphics card makes the local maps itself.
    pub fn wished_partners(&self, makes_maps: bool) -> Option<PartnersRequest> {
        let shown = self.pair.as_deref().filter(|p| p.training.is_some())?;
        let current = self.current()?;
        if shown.request.generation != current.key || shown.request.variant != current.variant {
            return None;
        }
        let gallery: Vec<u32> = current.matches.iter().take(MOST).map(|m| m.gallery).collect();
        let request = PartnersRequest {
            generation: current.key,
            variant: current.variant.clone(),
            gallery,
            maps: !makes_maps,
        };
        (request.gallery.len() > 1 && self.ahead.asked.as_ref() != Some(&request)).then_some(request)
    }
}
