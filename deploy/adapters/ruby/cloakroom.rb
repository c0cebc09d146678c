# frozen_string_literal: true

# rack.session and rack.session.options, as Rack::Session's stores have them, behind cloakroom: the session is what
# X-Session brings, and goes back in X-Session-Save when it has changed. Knows no cookie, no key and no store.
#   use Rack::Session::Cloakroom
require 'forwardable'
require 'json'
require 'securerandom'

module Rack
  module Session
    class Cloakroom
      ID = '_session_id' # the key of an id, which is made when the app first asks for one

      # `header`: the prefix of the headers' names. `expire_after`: how long new sessions last, in seconds.
      # What other stores are told (key, secret, path, …) has no meaning here.
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
        headers[cache] = "#{left}, private".sub(/\A[, ]+/, '') unless said.empty? # for caches up to the sidecar
        said.each { |name, value| headers["#{@prefix.downcase}-#{name}"] = value }
        session.freeze
        [status, headers, body]
      end

      private

      # What has to be said to the sidecar: the rest of each header's name, and its value.
      def said(env, was, session)
        options = env['rack.session.options'] || {}
        return {} if options[:skip]
        return { 'delete' => '1' } if options[:drop]

        current = env['rack.session']
        now = members(current, was)
        renewed = options[:renew] || session.destroyed?
        # An id alone is no reason for a session, and a renewed one has another.
        id = session.kept_id
        now[ID] = id if id && !now.empty? && !options[:renew]
        return was.empty? && !session.destroyed? ? {} : { 'delete' => '1' } if now.empty?

        lasts = options[:expire_after]
        asked = lasts && !(was.empty? && lasts == @options[:expire_after])
        return {} unless renewed || asked || now != was

        said = { 'save' => "{#{now.map { |key, raw| "#{Text.json(key, key)}:#{raw}" }.join(',')}}" }
        said['renew'] = '1' if renewed
        # A new one ends with the browser, as Rack's own cookie, unless it is told how long it lasts.
        said['max-age'] = [lasts.to_i, 0].max.to_s if lasts || renewed || was.empty?
        said
      end

      def members(session, was)
        (session || {}).to_hash.each_with_object({}) do |(key, value), now|
          key = key.to_s
          old = was[key]
          if old && Text.same?(old, Text.json(value, nil))
            now[key] = old
          elsif !value.nil? # as Rack: what is set to nil is gone, and reads as nil
            now[key] = Text.json(value, key)
          end
        end
      end

      class Error < StandardError; end

      # The session where there is none: whatever is done with it is refused.
      class Missing < BasicObject
        def initialize(prefix)
          @prefix = prefix
        end

        def method_missing(*)
          ::Kernel.raise Error, "#{@prefix} is missing: this request has not come through cloakroom, or its route is off; let only cloakroom reach the app"
        end

        def respond_to_missing?(*)
          true
        end
      end

      module Text
        VALUE = /(?<value>"(?:[^"\\]|\\.)*+"|[^"\[\]{},:\s]++|[\[{](?:\g<value>|[,:])*+[\]}])/.freeze
        MEMBER = /\G(?<key>"(?:[^"\\]|\\.)*+"):#{VALUE}(?:,(?=")|\z)/.freeze
        DEEP = 200

        # The members of a JSON object with their text, so that what the app leaves alone goes back digit by digit.
        def self.members(text, prefix)
          inner = text[/\A\{(.*)\}\z/m, 1]
          members = {}
          at = 0
          while inner && (found = MEMBER.match(inner, at))
            members[parse(found[:key])] = found[:value]
            at = found.end(0)
          end
          return members if inner && at == inner.length

          raise Error, "#{prefix} cannot be read: it is no JSON object"
        end

        def self.same?(raw, json)
          json == raw || json == json(parse(raw), nil)
        end

        def self.parse(text)
          JSON.parse(text, max_nesting: DEEP, create_additions: false)
        rescue JSON::ParserError # which would quote it
          raise Error, 'X-Session cannot be read: a value is no JSON', cause: nil
        end

        # JSON on one line of ASCII. Raises where JSON would lose or change something, and says where. Without a `where` it
        # does not, to see whether a value is what it was: 1e400 came as JSON, too.
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

      # The session itself, as Rack::Session::Abstract::SessionHash: keys are strings, and symbols are read as such.
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
          raise Error, "session: #{ID} is a name of the session's own; use another key" if key == ID
          raise Error, "session: #{key} was changed after the head of the answer had gone; change it before" if frozen?

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

        # Ends the session; what is stored from here on is another one's.
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

        # Where it is asked for after the answer, by an access log, it is not kept.
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
