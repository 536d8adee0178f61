#ifndef THRESHER_STORE_FOR_EACH_OBJECT_H_
#define THRESHER_STORE_FOR_EACH_OBJECT_H_

#include <functional>
#include <string_view>

#include "base/result.h"
#include "store/store.h"

namespace thresher {

// ListAll without the list: every object whose key begins with `prefix`, ascending, page by page.
// `visit` may take it.
Status ForEachObject(Store& store, std::string_view prefix,
                     const std::function<void(ObjectInfo& object)>& visit);

}  // namespace thresher

#endif  // THRESHER_STORE_FOR_EACH_OBJECT_H_
