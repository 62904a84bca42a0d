extension PicturePreprocessing {
    /// A decoded frame as the tower sees it: laid out as a square, cut into `ratio`² blocks and the whole where ratio > 1,
    /// each made into a picture of `side` × `side`.
    public func frameParts(_ image: RGBImage, ratio: Int) -> [RGBImage] {
        parts(frame(image), ratio: ratio).map { $0.width == side && $0.height == side ? $0 : picture($0) }
    }
}
