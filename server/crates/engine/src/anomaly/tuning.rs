//! dev only
use std::sync::atomic::{AtomicPtr, Ordering};
macro_rules! tuning { ($($name:ident = $value:expr),* $(,)?) => {
    #[derive(Clone, Debug)]
    pub struct Tuning { $(pub $name: f64),* }
    impl Default for Tuning { fn default() -> Self { Self { $($name: $value),* } } }
    impl Tuning {
        pub fn set(&mut self, name: &str, value: f64) { match name { $(stringify!($name) => self.$name = value,)* _ => panic!("{name}") } }
        pub fn names() -> &'static [&'static str] { &[$(stringify!($name)),*] }
        pub fn get(&self, name: &str) -> f64 { match name { $(stringify!($name) => self.$name,)* _ => panic!("{name}") } }
    }
    static DEFAULT: Tuning = Tuning { $($name: $value),* };
} }
tuning! {
    fast = 0.3, slow_days = 1.0, trend = 0.05, damp = 0.9, offset = 0.1, day_gain = 0.15, week_gain = 0.3,
    mse_gain = 0.01, power = 4.0, clip = 3.0, noise_gain = 0.002, hour_gain = 0.1,
    short = 6.0, long = 48.0, scale_gain = 0.002, window_clip = 4.0,
    curve_prior = 30.0, curve_max = 20000.0, curve_top = 20.0,
    teach_p=1e-5, confirm_max = 288.0,
    told_days=1.0, told_rows = 1000.0, told_keep = 1.0, told_least = 24.0, newcurve = 1.0, told_shape = 1.0, spread = 12.0, spread_long = 500.0, forget = 0.0, reca = 0.7, recb = 10.0, recc=0.3, recmax = 1e9, new0=0.5,new1=0.5,new2=0.5,new3=0.8,new4=0.8,new5=0.8,new6=0.0,new7=1.0,  told_mode = 0.0, learn_days = 1.0, flat = 1.0, range = 1.0,
    use0 = 1.0, use1 = 1.0, use2 = 1.0, use3 = 1.0, use4 = 1.0, use5 = 1.0, use6 = 1.0, use7 = 1.0,
    wscale = 1.0,
}
static CURRENT: AtomicPtr<Tuning> = AtomicPtr::new(std::ptr::null_mut());
pub fn set(t: Tuning) {
    CURRENT.store(Box::into_raw(Box::new(t)), Ordering::SeqCst);
}
#[inline]
pub fn t() -> &'static Tuning {
    let p = CURRENT.load(Ordering::Relaxed);
    if p.is_null() { &DEFAULT } else { unsafe { &*p } }
}
