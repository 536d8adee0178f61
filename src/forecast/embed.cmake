# deploy/prices.toml as a source file of the module: BuiltInPrices() in forecast/prices.h. A changed
# file makes CMake run again.
set(prices_file ${CMAKE_SOURCE_DIR}/deploy/prices.toml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${prices_file})
file(READ ${prices_file} PRICES)
configure_file(${CMAKE_CURRENT_LIST_DIR}/built_in_prices.cc.in
               ${CMAKE_CURRENT_BINARY_DIR}/built_in_prices.cc @ONLY)
target_sources(thresher_forecast PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/built_in_prices.cc)
