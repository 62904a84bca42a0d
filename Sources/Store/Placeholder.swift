/// The frame cache.
enum StoreNamespace {}
