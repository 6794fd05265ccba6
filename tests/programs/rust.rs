// rust [SECONDS]: time goes to a generic function, a method of a trait and a
// closure.

use std::hint::black_box;
use std::time::{Duration, Instant};

mod kiln {
    use std::hint::black_box;

    #[inline(always)]
    pub fn steps(mut x: u64, units: u64) -> u64 {
        for _ in 0..units * 40000 {
            x = black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1));
        }
        x
    }

    pub trait Fire {
        fn fire(&self, x: u64) -> u64;
    }

    pub struct Bowl {
        pub size: u64,
    }

    impl Fire for Bowl {
        #[inline(never)]
        fn fire(&self, x: u64) -> u64 {
            steps(x + self.size, 1)
        }
    }

    #[inline(never)]
    pub fn bake<T: Into<u64>>(x: T) -> u64 {
        steps(x.into(), 2)
    }
}

#[inline(never)]
fn apply<F: Fn(u64) -> u64>(f: F, x: u64) -> u64 {
    black_box(f(x)) + 1
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).map_or(1.0, |s| s.parse().unwrap());
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let bowl: Box<dyn kiln::Fire> = Box::new(kiln::Bowl { size: black_box(3) });
    let mut x = 1;
    while Instant::now() < end {
        x = kiln::bake::<u32>(x as u32);
        x = bowl.fire(x);
        x = apply(
            #[inline(never)]
            |y| kiln::steps(y, 1),
            x,
        );
    }
    println!("{:x}", x);
}
