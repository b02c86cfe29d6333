//! What the window knows of the open study. It only grows until another study is opened; nothing that
//! depends on a threshold is kept in it.

use super::columns::Columns;
use crate::{
    engine::{GalleryMap, StepPreview},
    memorization::NoiseBand,
    study::{
        self, Approximation, Cluster, Generation, GenerationKey, Prompt, RegionClusters, RegionLabels,
        StudyOutline, Tally, Thresholds, labels_of_prompts,
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

/// Pictures that keep the small copy they came with; of further ones it is read when they are in view.
const SMALL: usize = 1000;
/// Pictures or prompts from which a closed study is given back beside the window.
const LARGE: usize = 5000;

type Results = BTreeMap<GenerationKey, Arc<Generation>>;

/// The open study as seen by the window.
#[derive(Debug, Default)]
pub struct StudyView {
    outline: Option<Arc<StudyOutline>>,
    prompts: Vec<Prompt>,
    /// Prompts in lower case; made at the first search.
    folded: RefCell<Vec<String>>,
    /// Pictures by the variant they were drawn with; `None` for the checkpoint as it is.
    results: BTreeMap<Option<Arc<str>>, Results>,
    /// The scores of the same pictures.
    columns: BTreeMap<Option<Arc<str>>, Columns>,
    no_columns: Columns,
    /// Pictures whose region was edited by hand.
    edited: BTreeMap<Option<Arc<str>>, BTreeSet<GenerationKey>>,
    /// Places of prompts that do not stand at their own index.
    odd_places: HashMap<u32, usize>,
    /// How many studies were opened so far.
    opened: u64,
    /// Small copies of pictures held here.
    small: usize,
    /// Whose pictures are A.
    first: Option<Arc<str>>,
    nothing: Results,
    clusters: Arc<Vec<Cluster>>,
    cluster_of: HashMap<u32, usize>,
    copies: HashMap<u32, usize>,
    map: Option<Arc<GalleryMap>>,
    /// How pictures are compared with a large gallery.
    pub approximation: Option<Arc<Approximation>>,
    /// Whether pictures can be compared already.
    pub gallery_ready: bool,
    planned: HashMap<u32, RegionLabels>,
    version: u64,
    forming: BTreeMap<GenerationKey, Forming>,
}

/// A picture while it forms.
#[derive(Clone, Debug)]
struct Forming {
    latest: StepPreview,
    noise: Vec<f32>,
}

impl StudyView {
    /// Starts over with a study that was just opened.
    pub fn open(&mut self, outline: Arc<StudyOutline>) {
        let next = Self {
            version: self.version + 1,
            opened: self.opened + 1,
            planned: labels_of_prompts(&outline.prompts).unwrap_or_default(),
            ..Self::default()
        };
        let former = std::mem::replace(self, next);
        if former.results.values().map(BTreeMap::len).sum::<usize>() > LARGE || former.prompts.len() > LARGE {
            // Giving a hundred thousand pictures back takes longer than a frame. Without a thread it is done here.
            std::thread::Builder::new()
                .name("closing".into())
                .spawn(move || drop(former))
                .ok();
        }
        self.prompts = outline.prompts.clone();
        let odd = |(place, prompt): (usize, &Prompt)| {
            (prompt.index as usize != place).then_some((prompt.index, place))
        };
        self.odd_places = self.prompts.iter().enumerate().rev().filter_map(odd).collect();
        self.outline = Some(outline);
    }

    /// Takes in where masks of generated pictures come from.
    pub fn set_generated_mattes(&mut self, folder: Option<PathBuf>) {
        if let Some(outline) = &mut self.outline {
            Arc::make_mut(outline).generated_mattes = folder;
        }
    }

    /// The study's parts; `None` before one is open.
    pub fn outline(&self) -> Option<&Arc<StudyOutline>> {
        self.outline.as_ref()
    }

    /// Grows whenever a picture comes or goes, or another study is opened.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The class that the prompt list names for a prompt, where it names classes.
    pub fn planned(&self, prompt: u32) -> Option<RegionLabels> {
        self.planned.get(&prompt).copied()
    }

    /// Its prompts and those added here, by index.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// A prompt by its index.
    pub fn prompt(&self, index: u32) -> Option<&Prompt> {
        self.prompts.get(self.place(index)?)
    }

    /// Where a prompt stands in [`StudyView::prompts`], by its index.
    pub fn place(&self, index: u32) -> Option<usize> {
        match self.prompts.get(index as usize) {
            Some(p) if p.index == index => Some(index as usize),
            _ => self.odd_places.get(&index).copied(),
        }
    }

    fn push_prompt(&mut self, prompt: Prompt) {
        let place = self.prompts.len();
        if prompt.index as usize != place {
            self.odd_places.insert(prompt.index, place);
        }
        self.prompts.push(prompt);
    }

    /// Grows whenever another study is opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// The scores of a variant's pictures; of the checkpoint as it is for `None`.
    pub fn columns(&self, variant: &Option<Arc<str>>) -> &Columns {
        self.columns.get(variant).unwrap_or(&self.no_columns)
    }

    /// Adds a prompt of the user's own; gives its index, or that of the same text already there.
    pub fn add_prompt(&mut self, text: &str) -> u32 {
        let text = text.trim();
        if let Some(known) = self.prompts.iter().find(|p| p.text == text) {
            return known.index;
        }
        let index = self.prompts.iter().map(|p| p.index + 1).max().unwrap_or(0);
        self.push_prompt(Prompt {
            index,
            text: text.to_owned(),
            group: None,
        });
        index
    }

    /// Positions in [`StudyView::prompts`] whose text contains `search`, which is in lower case.
    pub fn search(&self, search: &str) -> Vec<usize> {
        if search.is_empty() {
            return (0..self.prompts.len()).collect();
        }
        let mut folded = self.folded.borrow_mut();
        let known = folded.len();
        folded.extend(self.prompts[known..].iter().map(|p| p.text.to_lowercase()));
        let found = folded
            .iter()
            .enumerate()
            .filter(|(_, text)| text.contains(search));
        found.map(|(place, _)| place).collect()
    }

    /// Adds a picture, or replaces what was known of it.
    pub fn insert(&mut self, generation: Arc<Generation>) {
        let key = generation.key;
        self.forming.remove(&key);
        // A study folder may hold pictures of prompts that its list no longer has.
        if self.prompt(key.prompt).is_none() {
            self.push_prompt(Prompt {
                index: key.prompt,
                text: generation.prompt.clone(),
                group: None,
            });
        }
        self.version += 1;
        let listed = self
            .prompt(key.prompt)
            .is_some_and(|p| p.text == generation.prompt);
        self.columns
            .entry(generation.variant.clone())
            .or_default()
            .insert(&generation, listed);
        if generation.edit.is_some() {
            self.edited
                .entry(generation.variant.clone())
                .or_default()
                .insert(key);
        } else if let Some(edited) = self.edited.get_mut(&generation.variant) {
            edited.remove(&key);
        }
        let generation = if self.small >= SMALL {
            generation.without_thumbnail()
        } else {
            self.small += usize::from(!generation.thumbnail.is_empty());
            generation
        };
        self.results
            .entry(generation.variant.clone())
            .or_default()
            .insert(key, generation);
    }

    /// Whose pictures are A; `None` for the checkpoint as it is.
    pub fn first(&self) -> &Option<Arc<str>> {
        &self.first
    }

    /// Makes the pictures of another variant A.
    pub fn set_first(&mut self, first: Option<Arc<str>>) {
        self.first = first;
    }

    /// Everything that has pictures: the checkpoint as it is (`None`), variants by name.
    pub fn sources(&self) -> impl Iterator<Item = &Option<Arc<str>>> {
        self.results.keys()
    }

    /// Forgets the pictures of a variant: its content has changed.
    pub fn forget(&mut self, variant: &Arc<str>) {
        self.version += 1;
        self.results.remove(&Some(variant.clone()));
        self.columns.remove(&Some(variant.clone()));
        self.edited.remove(&Some(variant.clone()));
    }

    /// A's pictures whose region was edited by hand, by prompt and seed.
    pub fn edited(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let keys = self.edited.get(&self.first).into_iter().flatten();
        keys.filter_map(|key| self.generation(*key))
    }

    fn drawn(&self) -> &Results {
        self.results.get(&self.first).unwrap_or(&self.nothing)
    }

    fn drawn_with(&self, variant: &Arc<str>) -> &Results {
        self.results.get(&Some(variant.clone())).unwrap_or(&self.nothing)
    }

    /// A picture drawn with a variant.
    pub fn generation_of(&self, variant: &Arc<str>, key: GenerationKey) -> Option<&Arc<Generation>> {
        self.drawn_with(variant).get(&key)
    }

    /// All pictures drawn with a variant, by prompt and seed.
    pub fn generations_of(&self, variant: &Arc<str>) -> impl Iterator<Item = &Arc<Generation>> {
        self.drawn_with(variant).values()
    }

    /// A picture of A.
    pub fn generation(&self, key: GenerationKey) -> Option<&Arc<Generation>> {
        self.drawn().get(&key)
    }

    /// A picture of the checkpoint as it is.
    pub fn generation_as_is(&self, key: GenerationKey) -> Option<&Arc<Generation>> {
        self.results.get(&None)?.get(&key)
    }

    /// All pictures of A, by prompt and seed.
    pub fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.drawn().values()
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.drawn().len()
    }

    /// Whether there is no picture yet.
    pub fn is_empty(&self) -> bool {
        self.drawn().is_empty()
    }

    /// A variant's pictures of one prompt, by seed.
    pub fn of_prompt_with(&self, variant: &Arc<str>, prompt: u32) -> impl Iterator<Item = &Arc<Generation>> {
        let key = |seed| GenerationKey { prompt, seed };
        self.drawn_with(variant)
            .range(key(0)..=key(u64::MAX))
            .map(|(_, g)| g)
    }

    /// Pictures of A and of a variant with the same prompt and seed.
    pub fn pairs<'a>(
        &'a self,
        variant: &Arc<str>,
    ) -> impl Iterator<Item = (&'a Arc<Generation>, &'a Arc<Generation>)> {
        let second = self.drawn_with(variant);
        self.generations().filter_map(|a| Some((a, second.get(&a.key)?)))
    }

    /// Seeds of a prompt's pictures drawn with a variant, ascending.
    pub fn seeds_of(&self, variant: &Option<Arc<str>>, prompt: u32) -> impl Iterator<Item = u64> {
        let key = |seed| GenerationKey { prompt, seed };
        let results = self.results.get(variant).unwrap_or(&self.nothing);
        results.range(key(0)..=key(u64::MAX)).map(|(key, _)| key.seed)
    }

    /// A's pictures of one prompt, by seed.
    pub fn of_prompt(&self, prompt: u32) -> impl Iterator<Item = &Arc<Generation>> {
        let key = |seed| GenerationKey { prompt, seed };
        self.drawn().range(key(0)..=key(u64::MAX)).map(|(_, g)| g)
    }

    /// How many pictures fall into each class.
    pub fn tally(&self, thresholds: &Thresholds) -> Tally {
        study::tally(self.generations().map(Arc::as_ref), thresholds)
    }

    /// Takes in a step of a picture that forms.
    pub fn step(&mut self, step: StepPreview) {
        let norm = step.noise_norm;
        let mut noise = match self.forming.remove(&step.key) {
            Some(before) if before.latest.step < step.step => before.noise,
            _ => Vec::new(),
        };
        noise.extend(norm);
        let forming = Forming { latest: step, noise };
        self.forming.insert(forming.latest.key, forming);
    }

    /// Forgets the pictures that form: their job ended.
    pub fn stop_forming(&mut self) {
        self.forming.clear();
    }

    /// The pictures of a prompt that form, by seed.
    pub fn forming_of(&self, prompt: u32) -> impl Iterator<Item = &StepPreview> {
        let key = |seed| GenerationKey { prompt, seed };
        let range = self.forming.range(key(0)..=key(u64::MAX));
        range.map(|(_, forming)| &forming.latest)
    }

    /// A picture, as far as it has formed.
    pub fn forming(&self, key: GenerationKey) -> Option<&StepPreview> {
        self.forming.get(&key).map(|forming| &forming.latest)
    }

    /// Noise norm per step: of the finished picture, or as far as it has come.
    pub fn noise(&self, key: GenerationKey) -> (&[f32], usize) {
        match (self.forming.get(&key), self.generation(key)) {
            (Some(f), _) => (&f.noise, f.latest.steps),
            (_, Some(g)) => (&g.noise_norm, g.noise_norm.len()),
            _ => (&[], 0),
        }
    }

    /// The groups of the gallery.
    pub fn set_clusters(&mut self, clusters: Arc<Vec<Cluster>>) {
        self.cluster_of = clusters
            .iter()
            .enumerate()
            .flat_map(|(i, c)| c.members.iter().map(move |&m| (m, i)))
            .collect();
        self.clusters = clusters;
    }

    /// Changes with the groups.
    pub fn clusters_mark(&self) -> usize {
        Arc::as_ptr(&self.clusters) as usize
    }

    /// The group a training image belongs to; `None` when it stands alone.
    pub fn cluster_of(&self, gallery: u32) -> Option<&Cluster> {
        self.cluster_of.get(&gallery).and_then(|&i| self.clusters.get(i))
    }

    /// The groups by region.
    pub fn set_region_clusters(&mut self, clusters: &RegionClusters) {
        let sizes = clusters.duplicates.iter();
        self.copies = sizes
            .flat_map(|c| c.members.iter().map(|&m| (m, c.members.len())))
            .collect();
    }

    /// How often a training image is in the gallery, itself included: copies whose regions both agree.
    pub fn copies_of(&self, gallery: u32) -> usize {
        self.copies.get(&gallery).copied().unwrap_or(1)
    }

    /// The gallery was laid out.
    pub fn set_map(&mut self, map: Arc<GalleryMap>) {
        self.map = Some(map);
    }

    /// The gallery on a plane, once laid out.
    pub fn map(&self) -> Option<&Arc<GalleryMap>> {
        self.map.as_ref()
    }

    /// The groups of the gallery.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Number of groups.
    pub fn cluster_count(&self) -> usize {
        self.clusters.len()
    }

    /// Where the noise norm of `calm` pictures of A lies, over those of this number of steps: of many, every so manieth.
    /// `None` with too few of them.
    pub fn band(&self, calm: &[GenerationKey], steps: usize) -> Option<NoiseBand> {
        const MOST: usize = 2000;
        let stride = calm.len().div_ceil(MOST).max(1);
        let some = calm.iter().step_by(stride);
        let some = some.filter_map(|key| self.generation(*key));
        NoiseBand::of(some.map(|g| (g.key, &*g.noise_norm)), steps)
    }
}
