/// The way a decoded video frame becomes a square.
///
/// `squashNearest` is the reference's video path. The others keep more of the image's detail or its aspect ratio, for
/// models trained on frames prepared that way.
public enum FrameLayout: String, Sendable, Codable, CaseIterable {
    /// Resizes to 336 x 336 by nearest neighbor, then to the tower's side, ignoring the aspect ratio.
    case squashNearest = "squash_nearest"
    /// Resizes to the tower's side by bicubic interpolation, ignoring the aspect ratio.
    case squashBicubic = "squash_bicubic"
    /// Resizes the shorter edge to the tower's side and keeps the middle.
    case cropBicubic = "crop_bicubic"
    /// Pads to a square with the mean color, then resizes.
    case padBicubic = "pad_bicubic"
}
