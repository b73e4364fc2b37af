use std::collections::{BTreeMap, HashMap};
use std::fmt;

mod shapes {
    pub trait Shape {
        fn area(&self) -> u64;
        fn twice(&self) -> u64 { self.area() * 2 }
    }
    pub struct Square(pub u64);
    pub struct Rect { pub w: u64, pub h: u64 }
    impl Shape for Square { #[inline(always)] fn area(&self) -> u64 { self.0 * self.0 } }
    impl Shape for Rect { fn area(&self) -> u64 { self.w * self.h } }
}
use shapes::*;

#[derive(Debug, Clone, PartialEq)]
enum Token { Number(i64), Plus, Times, Name(String) }

struct Error { at: usize, what: &'static str }
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{} at {}", self.what, self.at) }
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut out = Vec::new();
    for (at, word) in text.split_whitespace().enumerate() {
        out.push(match word {
            "+" => Token::Plus,
            "*" => Token::Times,
            w if w.chars().all(|c| c.is_ascii_digit()) => Token::Number(w.parse().map_err(|_| Error { at, what: "too big" })?),
            w if w.starts_with(char::is_alphabetic) => Token::Name(w.to_owned()),
            _ => return Err(Error { at, what: "strange word" }),
        });
    }
    Ok(out)
}

#[inline(never)]
fn evaluate(list: &[Token], names: &BTreeMap<String, i64>) -> Option<i64> {
    let value = |t: &Token| match t {
        Token::Number(n) => Some(*n),
        Token::Name(n) => names.get(n).copied(),
        _ => None,
    };
    let mut it = list.iter();
    let mut acc = value(it.next()?)?;
    while let (Some(op), Some(v)) = (it.next(), it.next()) {
        let v = value(v)?;
        acc = match op { Token::Plus => acc.checked_add(v)?, Token::Times => acc.checked_mul(v)?, _ => return None };
    }
    Some(acc)
}

fn generic<T: Into<u64> + Copy, I: Iterator<Item = T>>(it: I) -> u64 { it.map(Into::into).filter(|n| n % 2 == 0).sum() }

fn main() {
    let mut names = BTreeMap::new();
    names.insert("x".to_string(), std::env::args().count() as i64);
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(3)), Box::new(Rect { w: 2, h: names["x"] as u64 })];
    let total: u64 = shapes.iter().map(|s| s.twice()).sum();
    let mut seen: HashMap<u8, usize> = HashMap::new();
    for b in "hello".bytes() { *seen.entry(b).or_default() += 1; }
    match tokens("1 + 2 * x") {
        Ok(list) => println!("{:?} {:?} {} {}", list, evaluate(&list, &names), total, seen.len()),
        Err(e) => println!("{e}"),
    }
    println!("{}", generic([1u8, 2, 3].into_iter()) + generic(vec![4u32, 5].into_iter()));
}
