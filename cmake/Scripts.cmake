# Parts of modules that are written in JavaScript, src/js/**/*.js, become arrays of the program.
file(GLOB_RECURSE SQUALL_SCRIPTS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/js/*.js)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/scripts.c
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/embed_scripts ${CMAKE_BINARY_DIR}/scripts.c ${SQUALL_SCRIPTS}
  DEPENDS ${CMAKE_SOURCE_DIR}/cmake/embed_scripts ${CMAKE_SOURCE_DIR}/cmake/embed_array ${SQUALL_SCRIPTS}
  VERBATIM)
target_sources(sq_js PRIVATE ${CMAKE_BINARY_DIR}/scripts.c)
