//! What cases are made up with.

/// Numbers that are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap()
    }

    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.roll(all.len())]
    }
}

pub const TEXT: &str = "The quick brown fox jumps over the lazy dog";

/// A body in chunks, sometimes in a form that is not quite one.
pub fn chunks(dice: &mut Dice, is_lax: &mut bool) -> String {
    let mut chunks = String::new();
    for _ in 0..dice.roll(4) {
        let piece = &TEXT[..1 + dice.roll(TEXT.len() - 1)];
        let extension = dice.pick(&["", "", "", ";a=b", ";a=\"b;c\""]);
        let zeros = dice.pick(&["", "", "00"]);
        chunks.push_str(&format!("{zeros}{:x}{extension}\r\n{piece}\r\n", piece.len()));
    }
    let fault = dice.roll(12);
    *is_lax |= fault < 3;
    chunks.push_str(match fault {
        0 => "2;a\nb\r\nok\r\n0\r\n\r\n",
        1 => "0\r\nno field\r\n\r\n",
        2 => "0x2\r\nok\r\n0\r\n\r\n",
        3 => "0\r\nX-Session: {}\r\nB: c\r\n\r\n",
        4 => "000\r\n\r\n",
        _ => "0\r\n\r\n",
    });
    chunks
}
