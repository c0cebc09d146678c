# frozen_string_literal: true

# rack.session and rack.session.options, as with the stores of Rack::Session, behind cloakroom: the session
# comes in X-Session, and is sent back in X-Session-Save if it has changed. Uses no cookie, no key and no store.
#   use Rack::Session::Cloakroom
require 'forwardable'
require 'json'
require 'securerandom'

module Rack
  module Session
    class Cloakroom
      ID = '_session_id' # the key of an id, created when the app first asks for one

      # `header`: the prefix of the headers' names. `expire_after`: how long new sessions last, in seconds.
      # Options of other stores (key, secret, path, …) are ignored.
      def initialize(app, options = {})
        @app = app
        @options = options
        @prefix = options.fetch(:header, 'X-Session')
      end

      def call(env)
        text = env["HTTP_#{@prefix.upcase.tr('-', '_')}"]
        was = text ? Text.members(text, @prefix) : {}
        session = text ? Values.new(env, was) : Missing.new(@prefix)
        env['rack.session'] = session
        env['rack.session.options'] = @options.dup
        env['rack.session.options'].delete(:expire_after) unless was.empty?
        status, headers, body = @app.call(env)
        return [status, headers, body] unless text

        said = said(env, was, session)
        env['rack.errors'].puts('session: what was changed is not saved: the app has taken the connection (rack.hijack)') if env['rack.hijack_io'] && !said.empty?
        headers = headers.dup if headers.frozen?
        cache = headers.keys.find { |name| name.casecmp?('cache-control') } || 'cache-control'
        left = Array(headers[cache]).join(', ').gsub(/,? *\b(public|private)\b(?!=)/i, '')
        headers[cache] = "#{left}, private".sub(/\A[, ]+/, '') unless said.empty? # for caches between app and sidecar
        said.each { |name, value| headers["#{@prefix.downcase}-#{name}"] = value }
        session.freeze
        [status, headers, body]
      end

      private

      # What to tell the sidecar: the rest of each header's name, and its value.
      def said(env, was, session)
        options = env['rack.session.options'] || {}
        return {} if options[:skip]
        return { 'delete' => '1' } if options[:drop]

        current = env['rack.session']
        now = members(current, was)
        renewed = options[:renew] || session.destroyed?
        # An id alone does not create a session, and a renewed session has another id.
        id = session.kept_id
        now[ID] = id if id && !now.empty? && !options[:renew]
        return was.empty? && !session.destroyed? ? {} : { 'delete' => '1' } if now.empty?

        lasts = options[:expire_after]
        asked = lasts && !(was.empty? && lasts == @options[:expire_after])
        return {} unless renewed || asked || now != was

        said = { 'save' => "{#{now.map { |key, raw| "#{Text.json(key, key)}:#{raw}" }.join(',')}}" }
        said['renew'] = '1' if renewed
        # A new session ends with the browser, like Rack's own cookie, unless a lifetime is set.
        said['max-age'] = [lasts.to_i, 0].max.to_s if lasts || renewed || was.empty?
        said
      end

      def members(session, was)
        (session || {}).to_hash.each_with_object({}) do |(key, value), now|
          key = key.to_s
          old = was[key]
          if old && Text.same?(old, Text.json(value, nil))
            now[key] = old
          elsif !value.nil? # as in Rack, a key set to nil is removed, and reads as nil
            now[key] = Text.json(value, key)
          end
        end
      end

      class Error < StandardError; end

      # Stands for a missing session, and refuses every use.
      class Missing < BasicObject
        def initialize(prefix)
          @prefix = prefix
        end

        def method_missing(*)
          ::Kernel.raise Error, "#{@prefix} is missing: this request did not come through cloakroom, or its route has no session; let only cloakroom reach the app"
        end

        def respond_to_missing?(*)
          true
        end
      end

      module Text
        VALUE = /(?<value>"(?:[^"\\]|\\.)*+"|[^"\[\]{},:\s]++|[\[{](?:\g<value>|[,:])*+[\]}])/.freeze
        MEMBER = /\G(?<key>"(?:[^"\\]|\\.)*+"):#{VALUE}(?:,(?=")|\z)/.freeze
        DEEP = 200

        # The members of a JSON object with their text, so that values that the app does not change are saved exactly as they came.
        def self.members(text, prefix)
          inner = text[/\A\{(.*)\}\z/m, 1]
          members = {}
          at = 0
          while inner && (found = MEMBER.match(inner, at))
            members[parse(found[:key])] = found[:value]
            at = found.end(0)
          end
          return members if inner && at == inner.length

          raise Error, "#{prefix} cannot be read: it is not a JSON object"
        end

        def self.same?(raw, json)
          json == raw || json == json(parse(raw), nil)
        end

        def self.parse(text)
          JSON.parse(text, max_nesting: DEEP, create_additions: false)
        rescue JSON::ParserError # its message would quote the session
          raise Error, 'X-Session cannot be read: a value is not JSON', cause: nil
        end

        # JSON on one line of ASCII. Raises if JSON would lose or change something, and names it. Without `where` it
        # does not raise, to check whether a value is unchanged: 1e400 came as JSON too.
        def self.json(value, where, depth = 0)
          refuse = lambda do |what|
            return '?' unless where

            raise Error, "session: #{where} is #{what}, which JSON cannot hold; store text, numbers, arrays or hashes with strings as keys"
          end
          return refuse.call('inside itself, or too deep') if depth > DEEP
          case value
          when nil then 'null'
          when true, false, Integer then value.to_s
          when Float then value.finite? ? value.to_s : refuse.call(value)
          when String
            return refuse.call("a #{value.class}") unless value.instance_of?(String)
            return refuse.call('bytes that are no text') unless value.valid_encoding? && (value.ascii_only? || value.encoding != Encoding::BINARY)
            return "\"#{value}\"" if value.match?(/\A[ !#-\[\]-~]*\z/)

            JSON.generate(value.encode(Encoding::UTF_8), ascii_only: true).gsub("\x7f", '\u007f')
          when Array
            return refuse.call("a #{value.class}") unless value.instance_of?(Array)
            "[#{value.each_with_index.map { |item, at| json(item, where && "#{where}[#{at}]", depth + 1) }.join(',')}]"
          when Hash
            return refuse.call("a #{value.class}") unless value.instance_of?(Hash)
            odd = value.keys.find { |key| !key.instance_of?(String) }
            return refuse.call("a hash with the key #{odd.inspect}") unless odd.nil?

            "{#{value.map { |key, item| "#{json(key, where)}:#{json(item, where && "#{where}.#{key}", depth + 1)}" }.join(',')}}"
          else refuse.call("a #{value.class}")
          end
        end
      end

      # A string with the methods of Rack::Session::SessionId.
      class Id < String
        alias public_id to_s
        alias private_id to_s
        alias cookie_value to_s
      end

      # The session itself, like Rack::Session::Abstract::SessionHash: keys are strings, and symbols are read as strings.
      class Values
        extend Forwardable
        include Enumerable
        attr_reader :kept_id

        def initialize(env, was)
          @env = env
          @kept_id = was[ID]
          @data = was.to_h { |key, raw| [key, Text.parse(raw)] }
          @data.delete(ID)
        end

        %i[[] fetch dig key? has_key? include? delete].each do |name|
          define_method(name) { |key, *rest, &block| @data.public_send(name, key.to_s, *rest, &block) }
        end
        def_delegators :@data, :clear, :each, :keys, :values, :empty?, :inspect

        def []=(key, value)
          key = key.to_s
          raise Error, "session: #{ID} is reserved for the session; use another key" if key == ID
          raise Error, "session: #{key} was changed after the headers were sent; change it earlier" if frozen?

          Text.json(value, key)
          @data[key] = value
        end
        alias store []=

        def_delegator :@data, :dup, :to_hash
        alias to_h to_hash

        def update(hash)
          hash.each { |key, value| self[key] = value }
        end
        alias merge! update

        def replace(hash)
          clear
          update(hash)
        end

        # Ends the session; values stored after this are in a new one.
        def destroy
          clear
          @kept_id = nil
          @destroyed = true
        end

        def destroyed?
          @destroyed ? true : false
        end

        def options
          @env['rack.session.options']
        end

        def exists?
          !empty?
        end

        def loaded?
          true
        end
        alias enabled? loaded?

        # If an access log asks for it after the answer, it is not saved.
        def id
          json = Text.json(SecureRandom.hex(16), ID)
          @kept_id ||= json unless frozen?
          Id.new(Text.parse(@kept_id || json))
        end

        def freeze
          @data.freeze
          super
        end
      end
    end
  end
end
