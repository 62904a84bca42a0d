/// How a decoded video frame becomes a square.
///
/// `squashNearest` is the reference's video path; the others keep more of the picture's detail or of its shape, and are
/// for models that were trained on frames prepared so.
public enum FrameLayout: String, Sendable, Codable, CaseIterable {
    case squashNearest = "squash_nearest"
    case squashBicubic = "squash_bicubic"
    case cropBicubic = "crop_bicubic"
    case padBicubic = "pad_bicubic"
}
