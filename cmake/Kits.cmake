# The protocol kits of kits/*.js become part of the program: `import ... from 'squall/NAME'`.
file(GLOB SQUALL_KITS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kits/*.js)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/kits.c
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/embed_kits ${CMAKE_BINARY_DIR}/kits.c ${SQUALL_KITS}
  DEPENDS ${CMAKE_SOURCE_DIR}/cmake/embed_kits ${CMAKE_SOURCE_DIR}/cmake/embed_array ${SQUALL_KITS}
  VERBATIM)
target_sources(sq_js PRIVATE ${CMAKE_BINARY_DIR}/kits.c)
