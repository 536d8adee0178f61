# The page's files, web/*, as a source file of the module: WebFiles() in dashboard/web_files.h. A
# changed file makes CMake run again.
set(WEB_FILES "")
foreach(entry index.html=text/html dashboard.css=text/css dashboard.js=text/javascript
              charts.js=text/javascript icon.svg=image/svg+xml)
  string(REGEX MATCH "^(.*)=(.*)$" entry "${entry}")
  set(web_name ${CMAKE_MATCH_1})
  set(web_type ${CMAKE_MATCH_2})
  set(web_file ${CMAKE_CURRENT_LIST_DIR}/web/${web_name})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${web_file})
  file(READ ${web_file} web_text)
  string(APPEND WEB_FILES "    {\"/${web_name}\", \"${web_type}; charset=utf-8\",\n"
                          "     R\"web(${web_text})web\"},\n")
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/web_files.cc.in ${CMAKE_CURRENT_BINARY_DIR}/web_files.cc
               @ONLY)
target_sources(thresher_dashboard PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/web_files.cc)
