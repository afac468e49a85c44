//! A number per slot of a day or a week.

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Profile {
    width_us: i64,
    period_us: i64,
    slots: Box<[f32]>,
    seen: f32,
}

pub(super) struct Place {
    a: usize,
    b: usize,
    share: f64,
}

impl Profile {
    pub(super) fn new(period_us: i64, bucket_us: i64, most: usize) -> Self {
        let n = if bucket_us * 2 > period_us { 0 } else { ((period_us / bucket_us) as usize).min(most) };
        Self {
            width_us: if n == 0 { 1 } else { period_us / n as i64 },
            period_us,
            slots: vec![f32::NAN; n].into(),
            seen: 0.0,
        }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
    pub(super) fn place(&self, local_us: i64, bucket_us: i64) -> Option<Place> {
        let n = self.slots.len();
        if n == 0 {
            return None;
        }
        let within = local_us.rem_euclid(self.period_us);
        let first = ((within / self.width_us) as usize).min(n - 1);
        if bucket_us >= self.width_us {
            return Some(Place { a: first, b: first, share: 0.0 });
        }
        // between the middles of slots
        let at = (within + bucket_us / 2) as f64 / self.width_us as f64 - 0.5;
        let low = if at < 0.0 { -1.0 } else { at as i64 as f64 };
        let a = (low as i64).rem_euclid(n as i64) as usize;
        Some(Place { a, b: (a + 1) % n, share: at - low })
    }
    pub(super) fn get(&self, p: &Place) -> f64 {
        let (a, b) = (f64::from(self.slots[p.a]), f64::from(self.slots[p.b]));
        if b.is_nan() {
            return a;
        }
        if a.is_nan() {
            return b;
        }
        a + (b - a) * p.share
    }
    pub(super) fn teach(&mut self, p: &Place, target: f64, delta: f64, gain: f64) {
        for (i, share) in [(p.a, 1.0 - p.share), (p.b, p.share)] {
            if share <= 0.0 {
                continue;
            }
            let s = &mut self.slots[i];
            if s.is_nan() {
                *s = target as f32;
            } else {
                *s += (delta * gain * share) as f32;
            }
        }
    }
    pub(super) fn shift(&mut self, by: f64, factor: f64) {
        for s in &mut self.slots {
            *s = (f64::from(*s) * factor + by) as f32;
        }
    }
    pub(super) fn periods(&self) -> f64 {
        f64::from(self.seen)
    }
    pub(super) fn pass(&mut self, bucket_us: i64) {
        self.seen += (bucket_us as f64 / self.period_us as f64) as f32;
    }
}
