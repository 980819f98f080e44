# The type stripper, which src/js/typescript_data.S embeds: made by npm and esbuild from the pinned
# packages of tools/typescript. Without npm, or without a network the first time, squall is built
# without TypeScript support, and says so when it meets a TypeScript file.
option(SQUALL_TYPESCRIPT "embed the type stripper (needs npm when building)" ON)
set(typescript_source ${CMAKE_SOURCE_DIR}/tools/typescript)
set(typescript_data ${CMAKE_SOURCE_DIR}/src/js/typescript_data.S)

if(SQUALL_TYPESCRIPT)
  # Shared by all presets, and made anew only when its sources change.
  set(typescript_sources ${typescript_source}/bundle ${typescript_source}/strip.mjs ${typescript_source}/namespaces.mjs
      ${typescript_source}/package-lock.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${typescript_sources})
  set(typescript_state "")
  foreach(file ${typescript_sources})
    file(SHA256 ${file} one)
    string(APPEND typescript_state ${one})
  endforeach()
  string(SHA256 typescript_state "${typescript_state}")
  string(SUBSTRING ${typescript_state} 0 16 typescript_state)
  set(typescript_bundle ${CMAKE_SOURCE_DIR}/build/typescript/strip-${typescript_state}.js)
  if(NOT EXISTS ${typescript_bundle})
    execute_process(COMMAND ${typescript_source}/bundle ${typescript_bundle}
                    RESULT_VARIABLE failed OUTPUT_VARIABLE why ERROR_VARIABLE why)
    if(failed)
      string(STRIP "${why}" why)
      message(WARNING "squall is built without TypeScript support: ${why}")
    endif()
  endif()
  if(EXISTS ${typescript_bundle})
    set_source_files_properties(${typescript_data} PROPERTIES
      COMPILE_DEFINITIONS "SQUALL_TYPESCRIPT_FILE=\"${typescript_bundle}\""
      OBJECT_DEPENDS ${typescript_bundle})
  endif()
endif()
