import Foundation

extension ImagePreprocessing {
    /// Maximum size of a preprocessor_config.json, in bytes.
    static let maximumConfigBytes = 1 << 20

    /// Reads a Hugging Face preprocessor_config.json of CLIPImageProcessor or its predecessor CLIPFeatureExtractor.
    ///
    /// Sizes may be integers or dictionaries; missing keys take CLIPImageProcessor's defaults. The optional key
    /// `longtake_frame_layout` names a `FrameLayout`; without it a frame is laid out as the reference does.
    ///
    /// - Parameter framesAsImages: without the key, frames are padded or cropped as still images are.
    /// - Throws: `bad_preprocessor_config` for any setting that would change the pixels in a way not implemented here.
    public init(preprocessorConfig bytes: [UInt8], imageAspectRatio: String, framesAsImages: Bool = false) throws {
        guard bytes.count <= Self.maximumConfigBytes else {
            throw ImageError.config("has \(bytes.count) bytes; at most \(Self.maximumConfigBytes) are read")
        }
        let config: PreprocessorConfig
        do {
            config = try JSONDecoder().decode(PreprocessorConfig.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw ImageError.config(error.keyAndReason, underlying: error)
        } catch {
            throw ImageError.config("is not readable JSON", underlying: error)
        }
        // `do_pad` of LlavaImageProcessor is what the original's configuration names `image_aspect_ratio` "pad".
        let aspect = config.doPad == true ? "pad" : imageAspectRatio
        self.init(
            side: try config.side(), mean: try config.channels("image_mean", config.mean ?? Self.clipMean),
            std: try config.channels("image_std", config.std ?? Self.clipStd, positive: true),
            rescale: try config.rescale(),
            frameLayout: try config.frameLayout()
                ?? Self.defaultLayout(framesAsImages: framesAsImages, imageAspectRatio: aspect),
            imageAspectRatio: aspect)
    }
}

/// The file's keys, before validation.
private struct PreprocessorConfig: Decodable {
    let size: Extent?
    let cropSize: Extent?
    let resample: Int?
    let mean: [Double]?
    let std: [Double]?
    let rescaleFactor: Double?
    let layout: String?
    let doPad: Bool?
    let doResize: Bool?
    let doCenterCrop: Bool?
    let doRescale: Bool?
    let doNormalize: Bool?

    enum CodingKeys: String, CodingKey {
        case size
        case cropSize = "crop_size"
        case resample
        case mean = "image_mean"
        case std = "image_std"
        case rescaleFactor = "rescale_factor"
        case layout = "longtake_frame_layout"
        case doPad = "do_pad"
        case doResize = "do_resize"
        case doCenterCrop = "do_center_crop"
        case doRescale = "do_rescale"
        case doNormalize = "do_normalize"
    }

    /// A size: an integer in old files, a dictionary in newer ones.
    struct Extent: Decodable {
        let side: Int?
        let shortestEdge: Int?
        let width: Int?
        let height: Int?

        enum CodingKeys: String, CodingKey {
            case shortestEdge = "shortest_edge"
            case width
            case height
        }

        init(from decoder: any Decoder) throws {
            if let number = try? decoder.singleValueContainer().decode(Int.self) {
                (side, shortestEdge, width, height) = (number, nil, nil, nil)
                return
            }
            let members = try decoder.container(keyedBy: CodingKeys.self)
            side = nil
            shortestEdge = try members.decodeIfPresent(Int.self, forKey: .shortestEdge)
            width = try members.decodeIfPresent(Int.self, forKey: .width)
            height = try members.decodeIfPresent(Int.self, forKey: .height)
        }
    }

    /// CLIPImageProcessor's default side.
    private static let defaultSide = 224

    func side() throws -> Int {
        for (key, flag) in [
            ("do_resize", doResize), ("do_center_crop", doCenterCrop), ("do_rescale", doRescale),
            ("do_normalize", doNormalize),
        ] where flag == false { throw ImageError.config("\(key) is false; only true is supported") }
        // 3 is PIL's constant for bicubic.
        guard (resample ?? 3) == 3 else {
            throw ImageError.config("resample is \(resample ?? 3); only 3 (bicubic) is supported")
        }
        var edge = Self.defaultSide
        if let size {
            guard let given = size.side ?? size.shortestEdge else {
                throw ImageError.config("size has no shortest_edge; only resizing by the shortest edge is supported")
            }
            edge = given
        }
        var crop = Self.defaultSide
        if let cropSize {
            guard let given = cropSize.side ?? cropSize.height, given == cropSize.side ?? cropSize.width else {
                throw ImageError.config("crop_size is not a square of width and height")
            }
            crop = given
        }
        guard edge == crop else {
            throw ImageError.config("size \(edge) and crop_size \(crop) differ; they must be equal")
        }
        guard ImagePreprocessing.sides.contains(edge) else {
            let (low, high) = (ImagePreprocessing.sides.lowerBound, ImagePreprocessing.sides.upperBound)
            throw ImageError.config("size is \(edge); it must be from \(low) to \(high)")
        }
        return edge
    }

    /// Three values that float32 can represent.
    func channels(_ key: String, _ values: [Double], positive: Bool = false) throws -> [Double] {
        guard values.count == 3 else { throw ImageError.config("\(key) has \(values.count) values; it must have 3") }
        for value in values {
            guard Float(value).isFinite else { throw ImageError.config("\(key) has \(value), which is not finite") }
            guard !positive || Float(value) >= .leastNormalMagnitude else {
                throw ImageError.config("\(key) has \(value); it must be above 0")
            }
        }
        return values
    }

    func rescale() throws -> Double {
        let factor = rescaleFactor ?? ImagePreprocessing.clipRescale
        guard factor > 0, Float(factor * 255).isFinite else {
            throw ImageError.config("rescale_factor is \(factor); it must be above 0")
        }
        return factor
    }

    /// The layout that `longtake_frame_layout` names; nil if absent.
    func frameLayout() throws -> FrameLayout? {
        guard let layout else { return nil }
        guard let known = FrameLayout(rawValue: layout) else {
            let names = FrameLayout.allCases.map(\.rawValue).joined(separator: ", ")
            throw ImageError.config("longtake_frame_layout is \"\(layout.prefix(40))\"; use one of \(names)")
        }
        return known
    }
}

extension DecodingError {
    /// The key and the error, without Foundation's dump of the whole error.
    fileprivate var keyAndReason: String {
        let context: Context
        switch self {
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .keyNotFound(_, let found),
            .dataCorrupted(let found):
            context = found
        @unknown default: return "is not readable"
        }
        let key = context.codingPath.map(\.stringValue).joined(separator: ".")
        return key.isEmpty ? "is not a JSON object" : "\(key) has a value of the wrong type"
    }
}
