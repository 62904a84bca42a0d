/// The face of the library.
enum LongtakeNamespace {}
