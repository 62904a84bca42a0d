/// Decoding video files into frames.
enum MediaNamespace {}
