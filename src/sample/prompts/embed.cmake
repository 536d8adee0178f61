# The templates of this folder, as a source file of the module: BuiltInPrompts() in
# sample/prompt_template.h. A changed template makes CMake run again.
file(GLOB prompt_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.jinja)
list(SORT prompt_files)
set(PROMPTS "")
foreach(prompt_file IN LISTS prompt_files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${prompt_file})
  get_filename_component(prompt_name ${prompt_file} NAME_WE)
  file(READ ${prompt_file} prompt_text)
  string(APPEND PROMPTS "    {\"${prompt_name}\", R\"jinja(${prompt_text})jinja\"},\n")
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/built_in_prompts.cc.in
               ${CMAKE_CURRENT_BINARY_DIR}/built_in_prompts.cc @ONLY)
target_sources(thresher_sample PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/built_in_prompts.cc)
