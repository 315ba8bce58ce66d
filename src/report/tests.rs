//! The page as a whole, from records that are made by hand.
