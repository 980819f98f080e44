# Provides the target `quickjs`: the engine's helper sources and include path. The engine proper,
# quickjs.c, is compiled as part of src/js/engine.c, which needs four of its private fields.
set(QUICKJS_VERSION 2025-04-26)
set(QUICKJS_SHA256 ec81da5b3249ed648dbc7df4a1654988910e66a118d9b71cb63534216efcfbbe)

if(SQUALL_JS_DIR)
  set(QUICKJS_DIR ${SQUALL_JS_DIR})
else()
  # Shared by all presets, so that only the first configuration needs a network.
  set(QUICKJS_CACHE ${CMAKE_SOURCE_DIR}/build/engine)
  set(QUICKJS_DIR ${QUICKJS_CACHE}/quickjs-${QUICKJS_VERSION})
  if(NOT EXISTS ${QUICKJS_DIR}/quickjs.c)
    execute_process(
      COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch_quickjs ${QUICKJS_CACHE} ${QUICKJS_VERSION} ${QUICKJS_SHA256}
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "QuickJS ${QUICKJS_VERSION} could not be had; see the line above")
    endif()
  endif()
endif()
if(NOT EXISTS ${QUICKJS_DIR}/quickjs.c)
  message(FATAL_ERROR "no quickjs.c in ${QUICKJS_DIR}: set SQUALL_JS_DIR to an unpacked QuickJS ${QUICKJS_VERSION}")
endif()

add_library(quickjs STATIC ${QUICKJS_DIR}/libregexp.c ${QUICKJS_DIR}/libunicode.c
            ${QUICKJS_DIR}/cutils.c ${QUICKJS_DIR}/dtoa.c)
target_include_directories(quickjs SYSTEM PUBLIC ${QUICKJS_DIR})
target_compile_definitions(quickjs PUBLIC CONFIG_VERSION="${QUICKJS_VERSION}")
# Upstream relies on wrap-around arithmetic and is not warning-free under our flags.
target_compile_options(quickjs PRIVATE -w -fwrapv -fno-sanitize=undefined)
