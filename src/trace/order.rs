//! Putting the rows of a columnar table in order.

/// The rows `0..len` in ascending order of their key, equal keys in file
/// order; `None` when they already are.
pub(super) fn order_by<K: Ord>(len: usize, key: impl Fn(usize) -> K) -> Option<Vec<u32>> {
    if (1..len).all(|row| key(row - 1) <= key(row)) {
        return None;
    }
    let mut order: Vec<u32> = (0..u32::try_from(len).unwrap_or(u32::MAX)).collect();
    order.sort_by_key(|&row| key(row as usize));
    Some(order)
}

/// Rearranges one column; columns that are left empty stay empty.
pub(super) fn reorder<T: Copy>(column: &mut Vec<T>, order: &[u32]) {
    if column.is_empty() {
        return;
    }
    *column = order.iter().map(|&row| column[row as usize]).collect();
}
